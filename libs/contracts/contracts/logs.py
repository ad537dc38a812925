"""Log lines as they travel: one message a line, dropped rather than waited for."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import ConfigDict

from contracts.message import Message

Level = Literal["debug", "info", "warning", "error", "critical"]


class LogLine(Message):
    """One line of a service, or of what cannot publish for itself.

    `source` is a service, `nats-server`, `chromium`, `ffmpeg` or a container; further
    fields of the line travel beside these. everything -> LOG.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    SUBJECT: ClassVar[str] = "log.{source}.{level}.{task}"
    STREAM: ClassVar[str] = "LOG"

    source: str
    level: Level
    task: str = "-"
    session: str = "-"
    time: datetime
    text: str
