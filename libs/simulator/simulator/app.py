"""Puts the site together: every path it answers, behind the gate that notes all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from simulator import (
    call,
    cdn,
    commerce,
    control,
    history,
    imagex,
    page,
    site_config,
    submit,
    uploads,
    vod,
)
from simulator.gate import Gate
from simulator.settings import Settings
from simulator.world import World

_LIVE = "/passport/account/info/v2"


def create_app(settings: Settings, state: World | None = None) -> Starlette:
    """The simulated site as an ASGI app; `state` lets a test keep hold of the world."""
    world = state or World(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        for job in world.jobs.values():
            world.studio.start(job)
        yield
        await world.studio.close()
        world.close()

    routes = [*_site(world), *control.routes(world)]
    return Site(world, routes=routes, lifespan=lifespan)


class Site(Starlette):
    """The application with its gate before everything, Starlette's own layers too.

    A fault cuts the connection by the server's own `send`, which those layers wrap.
    """

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(**options)
        self._gate = Gate(super().__call__, world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan."""
        await self._gate(scope, receive, send)


def _site(world: World) -> list[Route]:
    return [
        Route("/", _root(world), methods=["GET", "POST"]),
        Route("/ai-tool/{rest:path}", page.page(world)),
        Route(page.SDK_PATH, page.sdk),
        Route("/static/{name}", page.static),
        Route("/upload/v1/{uri:path}", uploads.receive(world), methods=["POST"]),
        Route("/cdn/{job}/{name}", cdn.download(world)),
        Route(
            "/passport/account/info/v2", commerce.account_info(world), methods=["POST"]
        ),
        *_commerce(world),
        *_mweb(world),
    ]


def _commerce(world: World) -> list[Route]:
    handlers = {
        "user_credit": commerce.user_credit,
        "credit_receive": commerce.credit_receive,
        "user_credit_history": commerce.credit_history,
    }
    prefix = "/commerce/v1/benefits"
    return [
        Route(f"{prefix}/{name}", call.commerce(world, handler), methods=["POST"])
        for name, handler in handlers.items()
    ]


def _mweb(world: World) -> list[Route]:
    handlers = {
        "aigc_draft/generate": (submit.generate, submit.REQUIRED),
        "get_history_by_ids": (history.by_ids, call.POLLING),
        "get_history_records": (history.records, call.POLLING),
        "get_history_queue_info": (history.queue, call.LISTING),
        "get_history": (history.history, call.LISTING),
        "get_asset_list": (history.assets, call.LISTING),
        "get_unread_count": (history.unread, call.LISTING),
        "get_local_item_list": (history.local_items, call.BASIC),
        "get_upload_token": (uploads.upload_token, call.BASIC),
        "get_user_info": (commerce.user_info, call.BASIC),
        "get_common_config": (site_config.image_models, call.BASIC),
        "video_generate/get_common_config": (site_config.video_models, call.BASIC),
        "algo_proxy": (site_config.content_check, call.BASIC),
        "imagex/submit_audit_job": (site_config.audit, call.BASIC),
    }
    return [
        Route(f"/mweb/v1/{name}", call.mweb(world, handler, query), methods=["POST"])
        for name, (handler, query) in handlers.items()
    ]


def _root(world: World) -> call.Endpoint:
    """`/` is the page, unless an Action makes it an upload service."""
    home = page.page(world)
    actions = {
        ("GET", "ApplyImageUpload"): ("imagex", imagex.VERSION, imagex.apply_image),
        ("POST", "CommitImageUpload"): ("imagex", imagex.VERSION, imagex.commit_image),
        ("GET", "ApplyUploadInner"): ("vod", vod.VERSION, vod.apply_upload),
        ("POST", "CommitUploadInner"): ("vod", vod.VERSION, vod.commit_upload),
    }
    services = {key: uploads.aws_call(world, *rest) for key, rest in actions.items()}

    async def endpoint(request: Request) -> Response:
        action = request.query_params.get("Action")
        if action is None and request.method == "GET":
            return await home(request)
        service = services.get((request.method, action or ""))
        if service is None:
            return PlainTextResponse("no such action", 404)
        return await service(request)

    return endpoint
