"""`/v1/images/…` as OpenAI's clients and the Jimeng family ask for images."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from contracts.requests import Task
from contracts.values import TERMINAL, ResultRef
from gateway_http.access import ImageCreator
from gateway_http.bodies import image_body
from gateway_http.chunks import Chunks, in_base64
from gateway_http.creating import Made, create_task
from gateway_http.document.headers import REPLAY, named
from gateway_http.image_wish import FORM, ImageWish
from gateway_http.intake import Received, Shelf, receive_as
from gateway_http.openai_errors import ONCE, OpenAIRoute, failure_of
from gateway_http.parts import Parts, problems
from gateway_http.prefer import wanted
from gateway_http.problems import Problem, field_error, invalid, invalid_field
from gateway_http.repeats import REPLAYED
from gateway_http.views import task_view
from gateway_http.watching import ended_for
from jimeng import InvalidJob, find_model

Prefer = Annotated[
    str | None,
    Header(
        max_length=200,
        description="`respond-async`: answer 202 at once; `wait=60`: wait no longer.",
    ),
]


class Image(BaseModel):
    """One picture: by its URL, or as Base64."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str


class Images(BaseModel):
    """What was made. `task_id` names the task that has them all."""

    created: int = Field(description="Unix seconds.")
    data: list[Image]
    task_id: str


class Ticket(BaseModel):
    """Where an accepted task stands, and where to ask."""

    id: str
    status: str
    poll_url: str


class Accepted(BaseModel):
    """An accepted task whose images are not waited for."""

    created: int
    data: list[Image] = []
    task_id: str
    task: Ticket


LATER = named(REPLAY, "Location", "Preference-Applied")
NOES = problems(400, 404, 409, 410, 415, 500, 504, 507)


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/images", tags=["images"], route_class=OpenAIRoute)

    async def generations(
        request: Request, caller: ImageCreator, prefer: Prefer = None
    ) -> Response:
        """Make images from text, or from images and text; answers when they are there.

        After `IMAGE_WAIT_SECS` it is 504: the task goes on, and the error names it.
        """
        made = await create_task(parts, request, caller, _read)
        return await _answer(parts, request, made, prefer)

    async def edits(
        request: Request, caller: ImageCreator, prefer: Prefer = None
    ) -> Response:
        """Make images from one image or several, and text."""
        made = await create_task(parts, request, caller, _read_images)
        return await _answer(parts, request, made, prefer)

    async def compositions(
        request: Request, caller: ImageCreator, prefer: Prefer = None
    ) -> Response:
        """Make images from several images and text, as the Jimeng family names it."""
        made = await create_task(parts, request, caller, _read_images)
        return await _answer(parts, request, made, prefer)

    for endpoint in (generations, edits, compositions):
        routes.add_api_route(
            f"/{endpoint.__name__}",
            endpoint,
            methods=["POST"],
            response_model=Images,
            openapi_extra=image_body(from_images=endpoint is not generations),
            responses={
                200: {"headers": named(REPLAY)},
                202: {"model": Accepted, "headers": LATER},
                **NOES,
            },
        )
    return routes


async def _read(request: Request, lent: Shelf) -> Received[ImageWish]:
    received = await receive_as(FORM, request, lent)
    _must_make_images(received.wish)
    return received


async def _read_images(request: Request, lent: Shelf) -> Received[ImageWish]:
    received = await _read(request, lent)
    if not received.files:
        raise invalid([field_error(["files"], "field required: at least one image")])
    return received


def _must_make_images(wish: ImageWish) -> None:
    """Refuse a model of videos here; one that is none is told of by the fitting."""
    with suppress(InvalidJob):
        model = find_model(wish.model)
        if model.kind != "image":
            text = f"{model.name} makes videos: ask for them at /v1/videos/generations"
            raise invalid_field("model", text)


async def _answer(
    parts: Parts, request: Request, made: Made[ImageWish], prefer: str | None
) -> Response:
    """Wait for the end of a task as long as the client wants, and answer."""
    longest = parts.patience.wait
    wait = wanted([prefer or ""], longest, longest)
    task_id = made.command.task
    poll_url = f"{parts.base(request)}/api/v1/tasks/{task_id}"
    headers = dict(REPLAYED) if made.replayed else {}
    found = await ended_for(request, parts, made.command, wait)
    if found.status not in TERMINAL and wait.at_once:
        applied = {"Location": poll_url, "Preference-Applied": "respond-async"}
        return _accepted(made, poll_url, {**headers, **applied})
    if found.status not in TERMINAL:
        raise _late(task_id, wait.seconds, poll_url)
    if found.status != "succeeded":
        raise failure_of(found)
    if not found.results or found.files_deleted_at:
        text = f"the images of task {task_id} were deleted, for their age"
        raise Problem(410, "files_deleted", text, headers=ONCE, task_id=task_id)
    return _images(parts, request, found, made.wish, headers)


def _accepted(
    made: Made[ImageWish], poll_url: str, headers: dict[str, str]
) -> Response:
    command = made.command
    body = Accepted(
        created=int(command.created_at.timestamp()),
        task_id=command.task,
        task=Ticket(id=command.task, status="queued", poll_url=poll_url),
    )
    return JSONResponse(body.model_dump(), 202, headers)


def _late(task: str, seconds: float, poll_url: str) -> Problem:
    text = f"task {task} has not ended after {seconds:g} s and goes on: read {poll_url}"
    about: dict[str, Any] = {"task_id": task, "poll_url": poll_url}
    return Problem(504, "timeout", text, headers=ONCE, **about)


def _images(
    parts: Parts,
    request: Request,
    task: Task,
    wish: ImageWish,
    headers: dict[str, str],
) -> Response:
    shown = task_view(task, parts.links(request)).results[: wish.n]
    head: dict[str, Any] = {"created": _seconds(task), "task_id": task.id}
    if request.url.path.endswith("/compositions"):
        composed = {"composition_type": "multi_image_synthesis"}
        head |= {"input_images": len(task.job.files), **composed}
    if wish.response_format == "b64_json":
        files = _encoded(parts, head, task, task.results[: wish.n])
        return Chunks(files, 200, headers, "application/json")
    about = {"revised_prompt": task.job.prompt}
    data = [{"url": result.url, **about} for result in shown]
    return JSONResponse({**head, "data": data}, 200, headers)


def _seconds(task: Task) -> int:
    return int((task.finished_at or task.updated_at).timestamp())


async def _encoded(
    parts: Parts, head: dict[str, Any], task: Task, results: Sequence[ResultRef]
) -> AsyncGenerator[bytes]:
    """Write the answer with the pictures in it, never one of them whole in memory."""
    prompt = json.dumps(task.job.prompt)
    yield json.dumps(head).encode()[:-1] + b', "data": ['
    for place, result in enumerate(results):
        start = f'{{"revised_prompt": {prompt}, "b64_json": "'
        yield (", " if place else "").encode() + start.encode()
        pieces = parts.store.read(result.key, 0, result.size)
        async with aclosing(in_base64(pieces)) as texts:
            async for text in texts:
                yield text
        yield b'"}'
    yield b"]}"
