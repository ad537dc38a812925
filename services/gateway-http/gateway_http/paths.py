"""Which methods a path has: what is answered beside 405, where one has another."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


def allowed(web: FastAPI, path: str) -> str:
    """Return the methods of a path, for Allow; the plainest route is the one meant."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(web.routes):
        if route.path and route.path_regex.match(path):
            found.setdefault(route.path, set()).update(route.methods or ())
    meant = min(found, key=lambda each: each.count("{"), default="")
    return ", ".join(sorted(found.get(meant, ())))
