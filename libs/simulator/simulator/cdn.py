"""The CDN of results: signed links that expire, with Range."""

import time
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from simulator.call import Endpoint, noted
from simulator.records import Job
from simulator.world import World

_PREVIEW_KBPS, _BEST_KBPS = 1152, 6297
"""Bit rates the site names in its links: of the preview, and of the download."""


def link(world: World, origin: str, job: Job, name: str) -> str:
    """A link to one file of a job, good for `link_seconds` from now."""
    expires = f"{world.now() + world.knobs.link_seconds:.3f}"
    rate = _BEST_KBPS if name == "best.mp4" else _PREVIEW_KBPS
    signature = world.sign("cdn", job.id, name, expires)[:32]
    query = f"x-expires={expires}&x-signature={signature}&br={rate}"
    return f"{origin}/cdn/{job.id}/{name}?{query}"


def download(world: World) -> Endpoint:
    """Serve a file; a link that is forged or too old is 403."""

    async def endpoint(request: Request) -> Response:
        job = world.jobs.get(request.path_params["job"])
        name = request.path_params["name"]
        if job is None or name not in world.studio.names(job):
            return _answer(request, PlainTextResponse("no such object", 404))
        noted(request).uid = job.uid
        if not _valid(world, request, job, name):
            return _answer(request, PlainTextResponse("expired or not signed", 403))
        if job.clip.startswith("shared-"):
            await world.studio.ready(job)
        path = world.studio.path(job, name)
        if not path.exists():
            return _answer(request, PlainTextResponse("no such object", 404))
        return _answer(request, _File(path, etag=world.knobs.etag))

    return endpoint


class _File(FileResponse):
    """A file with ranges; the site's hosts do not all send an ETag."""

    def __init__(self, path: Path, *, etag: bool) -> None:
        kind = "video/mp4" if path.suffix == ".mp4" else "image/jpeg"
        super().__init__(path, media_type=kind)
        self._etag = etag

    def set_stat_headers(self, stat_result: Any) -> None:
        """Length, date and, where wanted, the ETag."""
        super().set_stat_headers(stat_result)
        if not self._etag:
            del self.headers["etag"]


def _valid(world: World, request: Request, job: Job, name: str) -> bool:
    query = request.query_params
    expires, signature = query.get("x-expires", ""), query.get("x-signature", "")
    fault = request.scope.get("fault")
    if signature != world.sign("cdn", job.id, name, expires)[:32]:
        return False
    return float(expires) > world.now() and not (fault and fault.fault == "expired")


def _answer(request: Request, response: Response) -> Response:
    noted(request).verdict = str(response.status_code)
    noted(request).detail["range"] = request.headers.get("range")
    noted(request).detail["answered_at"] = time.time()
    return response
