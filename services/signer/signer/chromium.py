"""Finds a browser to run, in a fixed order, or tells why there is none."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.settings import SettingsError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Debian's folder first: its headless shell starts in a third of the time and half the
# memory of the whole browser, and the one in /usr/bin is a shell script around it.
_PLACES = (
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
)
_PLAYWRIGHTS = (
    "chromium_headless_shell-*/*/*headless*shell",
    "chromium-*/chrome-linux*/chrome",
)
_LARGEST_SCRIPT = 64 * 1024


class NoBrowserError(Exception):
    """There is no browser; the text says what was looked at, and why it will not do."""


def find(chosen: Path | None, candidates: Iterable[Path]) -> Path:
    """Return the chosen browser, else the first candidate that can be run.

    Raises SettingsError when the chosen one cannot, NoBrowserError when none can.
    """
    if chosen:
        if reason := why_not(chosen):
            raise SettingsError(f"CHROMIUM_PATH {chosen} {reason}")
        return chosen
    refused = []
    for path in candidates:
        if not (reason := why_not(path)):
            return path
        if path.exists():
            refused.append(f"{path} {reason}")
    raise NoBrowserError("; ".join(refused) or "no Chromium is installed")


def candidates() -> Iterator[Path]:
    """Yield where a browser may be: Debian's, the search path, Playwright's own."""
    yield from map(Path, _PLACES)
    for name in ("chromium-headless-shell", *_NAMES):
        if found := shutil.which(name):
            yield Path(found)
    yield from playwrights(_cache(os.environ.get("PLAYWRIGHT_BROWSERS_PATH")))


def playwrights(cache: Path) -> list[Path]:
    """Return the browsers `playwright install` has put into its cache, newest first."""
    return [p for each in _PLAYWRIGHTS for p in sorted(cache.glob(each), reverse=True)]


def _cache(chosen: str | None) -> Path:
    return Path(chosen) if chosen else Path.home() / ".cache" / "ms-playwright"


def why_not(path: Path) -> str | None:
    """Return why a program cannot be the browser, as the rest of a sentence."""
    if not path.is_file():
        return "is not there"
    if not os.access(path, os.X_OK):
        return "cannot be executed"
    if _is_snap(path):
        return "is a snap, which cannot be started by a service: install a package"
    return None


def _is_snap(path: Path) -> bool:
    """Ubuntu's packages are links to `snap`, or scripts that ask to install one."""
    target = path.resolve()
    if target.name == "snap" or "snap" in target.parts[1:2]:
        return True
    if target.stat().st_size > _LARGEST_SCRIPT:
        return False
    text = target.read_bytes()
    return text.startswith(b"#!") and (b"/snap/" in text or b"snap install" in text)
