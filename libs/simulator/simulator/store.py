"""Keeps records over a restart: documents in one SQLite file, written through."""

import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""


class Store:
    """Documents by kind and id. Each write is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # A killed process loses nothing this way; only a power cut would.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(_SCHEMA)

    def put(self, kind: str, key: str, body: str) -> None:
        """Write a document, replacing an earlier one."""
        statement = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)"
        self._db.execute(statement, (kind, key, body))

    def add(self, kind: str, key: str) -> bool:
        """Write an empty document unless there is one: true for the first caller."""
        statement = "INSERT OR IGNORE INTO documents VALUES (?, ?, '')"
        return self._db.execute(statement, (kind, key)).rowcount == 1

    def get(self, kind: str, key: str) -> str | None:
        """The document, or None."""
        statement = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        row = self._db.execute(statement, (kind, key)).fetchone()
        return row[0] if row else None

    def all(self, kind: str) -> list[str]:
        """Every document of a kind."""
        statement = "SELECT body FROM documents WHERE kind = ? ORDER BY id"
        return [body for (body,) in self._db.execute(statement, (kind,))]

    def close(self) -> None:
        """Fold the journal in and let go of the file."""
        self._db.close()
