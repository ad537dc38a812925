"""What is remembered of a command between its deliveries, in the `marks` bucket.

A message cannot be changed while it waits, and its delivery count says little: planned
waits and hand-backs are deliveries too. A command that is done at its first delivery,
as nearly all are, never comes here.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from boundary import boundary
from contracts.message import Value, now

BUCKET = "marks"
KEEP_SECONDS = 5.0
TTL_SECONDS = 86_400  # for what nobody will clear: its command was taken out by hand
_FORGET = {"KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": "10"}


class Record(Value):
    """When a command was first delivered, and how many of its starts had no end."""

    first: datetime
    standing: int = 0

    @property
    def age_seconds(self) -> float:
        """How long ago the first delivery was."""
        return (now() - self.first).total_seconds()

    def started(self) -> "Record":
        """Return the record with one more start."""
        return self.model_copy(update={"standing": self.standing + 1})


class Marks:
    """The records of the commands that one service takes."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    async def read(self, command: Msg) -> Record | None:
        """Return what is remembered of a delivered command, if anything."""
        jetstream = self._client().jetstream(timeout=KEEP_SECONDS)
        with suppress(NotFoundError):
            kept = await jetstream.get_last_msg(
                f"KV_{BUCKET}", _subject(command), direct=True
            )
            if kept.data:
                return Record.model_validate_json(kept.data)
        return None

    async def keep(self, command: Msg, record: Record) -> None:
        """Remember; returns when it is on disk, because a crash may come next."""
        jetstream = self._client().jetstream(timeout=KEEP_SECONDS)
        body, headers = _kept(record)
        with boundary("publish", _subject(command)):
            await jetstream.publish(_subject(command), body, headers=headers)

    async def note(self, command: Msg, record: Record | None) -> None:
        """Remember, or forget, without waiting: the command is settled right after.

        One that is lost lets a deadline begin later, or leaves a mark too many.
        """
        body, headers = _kept(record) if record else (b"", _FORGET)
        with suppress(Exception), boundary("publish", _subject(command)):
            await self._client().publish(_subject(command), body, headers=headers)


def _subject(command: Msg) -> str:
    """`$KV.marks.<service>.<verb>.<id>.<sequence>`: a command sent anew is another."""
    name = command.subject.removeprefix("cmd.")
    return f"$KV.{BUCKET}.{name}.{command.metadata.sequence.stream}"


def _kept(record: Record) -> tuple[bytes, dict[str, str]]:
    return record.model_dump_json().encode(), {"Nats-TTL": str(TTL_SECONDS)}
