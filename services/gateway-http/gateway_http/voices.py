"""In whose words a no is told, also one that comes before its route is reached."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Response
from fastapi.routing import iter_route_contexts
from starlette.types import Scope

from gateway_http.problems import Problem, problem_response

Tell = Callable[[Problem, str], Response]
Voices = Mapping[str, Tell]
_PLACE = "voice"


def voices_of(web: FastAPI) -> Voices:
    """Return how routes say no that do it in a form of their own, by their paths."""
    return {
        route.path: route.original_route.tell
        for route in iter_route_contexts(web.routes)
        if route.path and hasattr(route.original_route, "tell")
    }


def give_voice(scope: Scope, voices: Voices) -> None:
    """Remember in whose words a request is refused."""
    scope[_PLACE] = voices.get(scope["path"], problem_response)


def refusal(problem: Problem, scope: Scope) -> Response:
    """Refuse a request."""
    tell: Tell = scope.get(_PLACE, problem_response)
    return tell(problem, scope["request_id"])
