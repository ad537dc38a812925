"""How a request is answered: with what was asked for, or with why not."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from contracts.requests import Answer, Refusal, Request, RequestRefusedError
from contracts.taking import UnreadableError, read

R = TypeVar("R", bound=BaseModel)

log = logging.getLogger("bus")


async def answer_to(
    request: type[Request[R]], handler: Callable[[Any], Awaitable[R]], body: bytes
) -> Answer:
    """Answer one request as it travels; whatever happens, the asker hears."""
    try:
        reply = await handler(read(request, body))
    except RequestRefusedError as no:
        return Answer(refused=no.refusal)
    except UnreadableError as error:
        return Answer(refused=Refusal(status=400, type="unreadable", detail=str(error)))
    except Exception:
        log.exception("request failed", extra={"request": request.__name__})
        return Answer(
            refused=Refusal(status=500, type="internal", detail="internal error")
        )
    return Answer(ok=reply.model_dump(mode="json"))
