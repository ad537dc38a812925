"""`/docs`: the document to be read and tried by people, without the internet."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from gateway_http.document import page

KEPT = {"Cache-Control": "public, max-age=3600"}


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["docs"], include_in_schema=False)

    @routes.get(page.PATH)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.HTML, headers=page.HEADERS)

    for path, file in page.FILES.items():
        routes.add_api_route(path, _served(file), methods=["GET"])
    return routes


def _served(file: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def served() -> FileResponse:
        return FileResponse(file, headers=KEPT)

    return served
