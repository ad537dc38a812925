"""`jimeng demo`, which `make run` is, on a machine with a poor browser."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("keys", ["false", "true"])
def test_a_browser_that_does_not_start_is_told_and_another_film_made(tmp_path, keys):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    command = [sys.executable, "-m", "standalone.cli.app", "demo", "--once"]
    done = subprocess.run(
        [*command, "--port", "0", "--data", str(tmp_path / "data")],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "CHROMIUM_PATH": str(broken), "AUTH_ENABLED": keys},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert "No browser, so a 3.0 video instead: " in done.stdout
    assert (tmp_path / "data" / "fox.mp4").stat().st_size > 10_000
