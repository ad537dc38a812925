"""`/v1/chat/completions`: videos and images from a chat client, picked by model."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from contracts.requests import RequestRefusedError, Task
from gateway_http.access import Creator
from gateway_http.chunks import Chunks
from gateway_http.creating import create_task
from gateway_http.document.headers import MADE, PREFER
from gateway_http.family import chat
from gateway_http.family.bodies import chat_body
from gateway_http.family.route import FamilyRoute
from gateway_http.links import Links
from gateway_http.parts import Parts, problems
from gateway_http.prefer import LONGEST_SECONDS, Wait, wanted
from gateway_http.reading import as_queued
from gateway_http.repeats import REPLAYED
from gateway_http.watching import changes, ended_for, with_silences

PATH = "/v1/chat/completions"
SILENCE_SECONDS = 15.0  # after which proxies begin to think of hanging up
STREAM = "text/event-stream"
STREAMED = {"schema": {}, "example": chat.EXAMPLE}


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["compatibility"], route_class=FamilyRoute)

    @routes.post(
        PATH,
        response_model=chat.Completion,
        openapi_extra=chat_body(PREFER),
        responses={
            200: {"content": {STREAM: STREAMED}, "headers": MADE},
            **problems(415, 507),
        },
    )
    async def complete(request: Request, caller: Creator) -> Response:
        """Make what the last message asks for, and say where it is.

        A model of images makes images, one of videos a video. With `stream` it tells
        how far it is. `Prefer: wait=n` waits no longer; the task goes on.
        """
        default = parts.video_wait or LONGEST_SECONDS
        wait = wanted(request.headers.getlist("prefer"), default)
        made = await create_task(parts, request, caller, chat.receive)
        headers = {**(REPLAYED if made.replayed else {}), **wait.headers}
        links = parts.links(request)
        if made.wish.stream:
            task = as_queued(made.command)
            told = _told(parts, task, wait, links)
            return Chunks(told, 200, headers, STREAM)
        task = await ended_for(request, parts, made.command, wait)
        body = chat.completion(task, chat.result(task, links))
        return JSONResponse(body.model_dump(), headers=headers)

    return routes


async def _told(
    parts: Parts, task: Task, wait: Wait, links: Links
) -> AsyncGenerator[bytes]:
    """Write the stream: what is made, how far it is, and where it is in the end."""
    yield chat.chunk(task, chat.BEGINS[task.kind])
    said = ""
    try:
        following = changes(parts, task, wait.seconds)
        async with aclosing(with_silences(following, SILENCE_SECONDS)) as states:
            async for state in states:
                if state is None:
                    yield b": ping\n\n"
                    continue
                task = state
                if (text := chat.progress(task)) and text != said:
                    said = text
                    yield chat.chunk(task, text)
        yield chat.chunk(task, chat.result(task, links))
    except RequestRefusedError:  # it was deleted meanwhile
        yield chat.chunk(task, f"任务 {task.id} 已删除\n")
    yield chat.chunk(task, last=True)
    yield chat.DONE
