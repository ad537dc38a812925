"""`jimeng` for the negative control: SQLite keeps what it likes of its commits.

No setting leads here. The pragma is put on each connection after the scheduler's own.
"""

import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

from standalone.cli.app import app


def weaken(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let commits of this connection be acknowledged before they are synced."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


if __name__ == "__main__":
    event.listen(Pool, "checkout", weaken)
    sys.exit(app())
