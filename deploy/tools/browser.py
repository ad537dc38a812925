"""Find a Chromium for the signer and the tests, and only then try to install one.

Writes its path, or nothing, into `.venv/browser`. Where none can be had, everything
works but sending through the site's own page.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from runtime.settings import SettingsError
from signer.chromium import NoBrowserError, candidates, find

FOUND = Path(".venv/browser")
PACKAGE = "chromium-headless-shell"
DOWNLOAD_SECONDS = 60


def main() -> int:
    """Return 0 also without a browser: it is not needed for most."""
    if "--again" not in sys.argv and FOUND.exists() and FOUND.read_text():
        FOUND.touch()
        return 0
    path, reason = look()
    if not path:
        print("setup: a browser", file=sys.stderr)
        install()
        path, reason = look()
    FOUND.write_text(str(path or ""))
    if not path:
        print(
            f"setup: no browser ({reason}): models that need the site's own page will "
            f"not run; install {PACKAGE} or set CHROMIUM_PATH, then `make setup`",
            file=sys.stderr,
        )
    return 0


def look() -> tuple[Path | None, str]:
    """Return the browser the signer would take, or None and why."""
    chosen = os.environ.get("CHROMIUM_PATH")
    try:
        return find(Path(chosen) if chosen else None, candidates()), ""
    except (NoBrowserError, SettingsError) as error:
        return None, str(error)


def install() -> None:
    """Try Debian's package as root, else Playwright's download."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        wanted = ["apt-get", "install", "-y", "--no-install-recommends", PACKAGE]
        if run(wanted, 300) or (run(["apt-get", "update"], 120) and run(wanted, 300)):
            return
    playwright = [sys.executable, "-m", "playwright", "install", PACKAGE]
    run(playwright, DOWNLOAD_SECONDS)


def run(command: list[str], seconds: float) -> bool:
    """Return whether the command did it in time."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=quiet, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
