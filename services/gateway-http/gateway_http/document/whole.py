"""Completes FastAPI's document: who may, every no, headers, examples, links."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel

from gateway_http.document.examples import BEGUN, ENDED, example_of
from gateway_http.document.headers import ALWAYS, COUNTED, HEADERS, named
from gateway_http.document.noes import answers
from gateway_http.document.schemas import in_json
from gateway_http.document.words import ABOUT, COOKIE, KEY, LINK, SCHEMES, TAGS
from gateway_http.identity import is_open
from gateway_http.problems import ProblemBody, problem_response

Described = dict[str, Any]
_ANY = (403, 421, 429, 503)
"""Every route: a foreign page or Host, a key's limit, NATS away."""
_BODY = (400, 408, 413, 422)
_FIRST_NO = 400
_MAKING = {"201", "202"}
_SENTENCE = re.compile(r"(.+?)[.:]?(?:(?<=[.:])\s|$)", re.DOTALL)
_FASTAPIS_WORDS = "Successful Response"
_FASTAPIS = ("HTTPValidationError", "ValidationError")


class _Voice(Protocol):
    """A route class with noes of its own form."""

    refusal: type[BaseModel]


def document(web: FastAPI) -> Described:
    """Return the whole document."""
    told = get_openapi(
        title=web.title, version=web.version, description=ABOUT, routes=web.routes
    )
    told["tags"] = [{"name": n, "description": text} for n, text in TAGS.items()]
    parts = told["components"]
    for name in _FASTAPIS:
        parts["schemas"].pop(name, None)
    parts["securitySchemes"] = SCHEMES
    parts["headers"] = HEADERS
    for route in _shown(web):
        _add_schemas(parts["schemas"], _refusal(route))
        for method in route.methods or ():
            operation = told["paths"][route.path_format][method.lower()]
            _complete(operation, route, parts["schemas"])
    _link(told["paths"])
    return {**told, "paths": in_json(told["paths"]), "components": in_json(parts)}


def operation_id(route: APIRoute) -> str:
    """Name an operation, as generated clients name its function."""
    return f"{str(route.tags[0]).replace('-', '_')}_{route.name}"


def _shown(web: FastAPI) -> Iterator[RouteContext]:
    for route in iter_route_contexts(web.routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            yield route


def _complete(operation: Described, route: RouteContext, known: Described) -> None:
    _say_who(operation, route)
    _add_noes(operation, route)
    for status, answer in operation["responses"].items():
        _add_headers(answer, status)
        _describe(answer, known)
        for content in answer.get("content", {}).values():
            story = BEGUN if status in _MAKING else ENDED
            _exemplify(content, known, story)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _exemplify(content, known, None)
    sentence = _SENTENCE.match(operation["description"])
    operation["summary"] = sentence[1] if sentence else route.name


def _say_who(operation: Described, route: RouteContext) -> None:
    """Name the ways in; scopes are alternatives, so each stands in a line of its own.

    An open route knows who asks, where somebody says so.
    """
    scopes, signed = _scopes(route.dependant)
    ways: list[Described] = [
        {way: [scope]} for way in (KEY, COOKIE) for scope in scopes
    ] or [{KEY: []}, {COOKIE: []}]
    if is_open(str(route.path)):
        ways = [{}]
    if signed:
        ways.append({LINK: []})
    operation["security"] = ways
    if scopes:
        operation["x-scopes"] = scopes
        needs = " or ".join(f"`{scope}`" for scope in scopes)
        operation["description"] += f"\n\nNeeds the scope {needs}."


def _scopes(dependant: Dependant) -> tuple[list[str], bool]:
    """Return the scopes of which one is needed, and whether a signature does too."""
    found = list(_checks(dependant))
    scopes = [str(scope) for check in found for scope in check.scopes]
    return scopes, any(getattr(check, "or_signed", False) for check in found)


def _checks(dependant: Dependant) -> Iterator[Any]:
    if hasattr(dependant.call, "scopes"):
        yield dependant.call
    for each in dependant.dependencies:
        yield from _checks(each)


def _add_noes(operation: Described, route: RouteContext) -> None:
    """Describe each no in the route's own form."""
    told = operation["responses"]
    bare = {int(status) for status in told if _is_bare(told, status)}
    fields = "parameters" in operation or "requestBody" in operation
    wanted = {*bare, *_ANY, *([422] if fields else [])}
    if not is_open(str(route.path)):
        wanted |= {401}
    if "requestBody" in operation:
        wanted |= {*_BODY}
    for status in bare:
        del told[str(status)]
    wanted |= {int(status) for status in told if int(status) >= _FIRST_NO}
    tell = getattr(route.original_route, "tell", problem_response)
    for status in sorted(wanted):
        for number, answer in answers(status, tell, _refusal(route)).items():
            _merge(told.setdefault(number, answer), answer)
    operation["responses"] = dict(sorted(told.items()))


def _merge(mine: Described, no: Described) -> None:
    """Add a no to an answer that has its status already."""
    mine["headers"] = {**no["headers"], **mine.get("headers", {})}
    contents = mine.setdefault("content", {})
    for mime, content in no["content"].items():
        present = contents.setdefault(mime, content)
        if str(content["schema"]) not in str(present["schema"]):
            present["schema"] = {"anyOf": [present["schema"], content["schema"]]}


def _is_bare(told: Described, status: str) -> bool:
    """Whether it is a no of which only the status is told, or what FastAPI thinks."""
    content = told[status].get("content")
    return int(status) >= _FIRST_NO and (not content or "HTTPVal" in str(content))


def _refusal(route: RouteContext) -> type[BaseModel]:
    voice = cast("_Voice", route.original_route)
    return getattr(voice, "refusal", ProblemBody)


def _add_schemas(known: Described, model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    known.update(schema.pop("$defs", {}))
    known[model.__name__] = schema


def _add_headers(answer: Described, status: str) -> None:
    names = (*ALWAYS, *(COUNTED if int(status) < _FIRST_NO else ()))
    answer["headers"] = {**named(*names), **answer.get("headers", {})}


def _describe(answer: Described, known: Described) -> None:
    """Say of an answer what its body is, in place of FastAPI's words."""
    if answer["description"] == _FASTAPIS_WORDS:
        schemas = str(answer.get("content"))
        names = re.findall(r"#/components/schemas/(\w+)", schemas)
        told = known[names[0]].get("description", "") if names else ""
        answer["description"] = told.partition("\n")[0] or "As told above."


def _exemplify(
    content: Described, known: Mapping[str, Any], story: Mapping[str, Any] | None
) -> None:
    if "binary" not in str(content) and not content.keys() & {"example", "examples"}:
        content["example"] = example_of(content["schema"], known, story)


def _link(paths: Described) -> None:
    """Say which routes an answer's id leads to."""
    for path, name, place in _MADE:
        made = paths[path]["post"]["responses"]
        answer = made.get("201") or made["202"]
        answer["links"] = dict(_links(paths, name, place))


def _links(paths: Described, name: str, place: str) -> Iterator[tuple[str, Described]]:
    for path, methods in paths.items():
        for operation in methods.values() if f"{{{name}}}" in path else ():
            to = operation["operationId"]
            given = {name: f"$response.body#/{place}"}
            if "{index}" in path:
                given["index"] = "0"
            yield to, {"operationId": to, "parameters": given}


_MADE = (
    ("/api/v1/tasks", "task", "task_id"),
    ("/api/v1/tasks/{task}/retry", "task", "task_id"),
    ("/v1/videos/generations", "task", "task/id"),
    ("/api/v1/sessions", "session", "session/id"),
    ("/api/v1/keys", "key", "key/id"),
    ("/api/v1/webhooks", "webhook", "webhook/id"),
)
"""Which creates give an id of what, and where it is in the answer."""
