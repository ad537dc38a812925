"""What a service takes: how a message is read, and how one durable's are treated."""

from dataclasses import dataclass
from typing import Any, TypeVar

from faststream.message import StreamMessage
from pydantic import ValidationError

from contracts.message import Message

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Taken:
    """How one durable's messages are treated."""

    message: type[Message]
    service: str
    deadline_seconds: float | None
    remembered: bool
    """Whether deliveries are: not where waiting is the normal life."""


class UnreadableError(Exception):
    """A message is not what its subject says."""


def read(kind: type[M], body: bytes) -> M:
    """Read a message as it travels; raises UnreadableError, without the values."""
    try:
        return kind.parse(body)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        raise UnreadableError(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)
        ) from None


async def as_it_came(message: StreamMessage[Any]) -> StreamMessage[Any]:
    """Leave decoding to the message classes, the one place that knows them."""
    return message
