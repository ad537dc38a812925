"""`/v1/videos/generations`: a video as clients of the Jimeng family ask for it.

Answered 202 at once, or with `Prefer: wait=n` or VIDEO_WAIT_SECS once it is made.
"""

from fastapi import APIRouter, Request, Response

from contracts.values import TERMINAL
from gateway_http.access import Creator
from gateway_http.creating import Made, create_task
from gateway_http.document.headers import MADE, PREFER
from gateway_http.family import answers
from gateway_http.family.bodies import video_body
from gateway_http.family.forms import FamilyWish, receive
from gateway_http.family.route import FamilyRoute
from gateway_http.parts import Parts, problems
from gateway_http.prefer import LONGEST_SECONDS, Wait, wanted
from gateway_http.repeats import REPLAYED
from gateway_http.watching import ended_for

PATH = "/v1/videos/generations"
PATHS = (PATH, "/v1/video/generations")


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["compatibility"], route_class=FamilyRoute)

    async def generate(request: Request, caller: Creator) -> Response:
        """Ask for a video, or images, as clients of the Jimeng family do.

        `Prefer: wait=600` waits for it; a wait that is over is answered 202, and the
        task goes on. What the family refuses with `{"code": -2000, …}` is so refused.
        """
        # Who brings an account of its own cannot ask for its task again later.
        default = LONGEST_SECONDS if caller.lends else parts.video_wait
        wait = wanted(request.headers.getlist("prefer"), default)
        made = await create_task(parts, request, caller, receive)
        return await _answer(parts, request, made, wait)

    told = video_body(PREFER)
    for path in PATHS:
        routes.add_api_route(
            path,
            generate,
            methods=["POST"],
            status_code=202,
            response_model=answers.Queued,
            include_in_schema=path == PATH,
            openapi_extra=told,
            responses={
                200: {
                    "model": answers.Finished | answers.Unmade,
                    "headers": MADE,
                },
                202: {"headers": MADE},
                **problems(415, 507),
            },
        )
    return routes


async def _answer(
    parts: Parts, request: Request, made: Made[FamilyWish], wait: Wait
) -> Response:
    headers = {**(REPLAYED if made.replayed else {}), **wait.headers}
    task = await ended_for(request, parts, made.command, wait)
    if task.status not in TERMINAL:
        if wait.seconds and not wait.preferred:
            return answers.over(task, wait.seconds, headers)
        return answers.queued(task, headers)
    if made.wish.response_format == "b64_json":
        return await answers.whole(task, parts.store, headers)
    return answers.ended(task, parts.links(request), headers)
