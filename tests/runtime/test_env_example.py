import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_example_names_every_setting_with_its_default():
    made = subprocess.run(
        [sys.executable, "deploy/tools/env_example.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    kept = (ROOT / ".env.example").read_text()
    assert made.stdout == kept, "a setting changed: `make env-example`"


def test_no_setting_is_named_twice():
    text = (ROOT / ".env.example").read_text()
    names = [line.split("=")[0] for line in text.splitlines() if "=" in line]
    assert len(names) == len(set(names))
    assert {"#NATS_URL", "#SETTLE_SECS", "#CHROMIUM_PATH"} <= set(names)
