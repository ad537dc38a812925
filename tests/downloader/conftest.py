"""What the tests of the downloader share with those of the other workers."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from workers_support import scheduler, site

__all__ = ["scheduler", "site"]
