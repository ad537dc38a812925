"""The browser of the tests: the one the signer would take."""

import os
from pathlib import Path

import pytest

from signer import chromium


def found_browser() -> Path:
    """Return where it is; skip the test where there is none."""
    chosen = os.environ.get("CHROMIUM_PATH")
    try:
        return chromium.find(Path(chosen) if chosen else None, chromium.candidates())
    except chromium.NoBrowserError as error:
        pytest.skip(f"needs Chromium: {error}")
