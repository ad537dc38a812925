"""How the scheduler is asked: again where nobody listens, or nothing came back."""

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from pydantic import BaseModel

from boundary import boundary
from contracts.requests import Answer, Request, RequestRefusedError

NOBODY_SECONDS = 2.0  # a standby looks each second, and listens soon after
NOBODY_PAUSE_SECONDS = 0.1

R = TypeVar("R", bound=BaseModel)


async def ask(client: Callable[[], Client], request: Request[R], seconds: float) -> R:
    """Ask, and read the answer; what is raised, `Bus.ask` tells."""
    try:
        reply = await _ask_whoever_comes(client, request, seconds)
    except NatsTimeoutError:
        reply = await _ask_whoever_comes(client, request, seconds)
    answer = Answer.model_validate_json(reply)
    if answer.refused:
        raise RequestRefusedError(answer.refused)
    return cast("R", request.REPLY.model_validate(answer.ok))


async def _ask_whoever_comes(
    client: Callable[[], Client], request: Request[R], seconds: float
) -> bytes:
    """Ask; where nobody listens, another scheduler may be about to take over."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + min(seconds, NOBODY_SECONDS)
    while True:
        try:
            return await _ask_once(client(), request, seconds)
        except NoRespondersError:
            if loop.time() > limit:
                raise
        await asyncio.sleep(NOBODY_PAUSE_SECONDS)


async def _ask_once(client: Client, request: Request[R], seconds: float) -> bytes:
    with boundary("request", request.subject):
        reply = await client.request(request.subject, request.body(), timeout=seconds)
    return bytes(reply.data)
