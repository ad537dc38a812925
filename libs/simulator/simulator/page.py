"""The site's page, as much as a signer needs: cookies, and a script that signs."""

import json
import secrets
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from simulator import bogus
from simulator.call import Endpoint, noted
from simulator.world import World

SDK_PATH = "/vlabstatic.com/bdms.js"
"""Holds one of the substrings by which clients let the site's scripts through."""

_COOKIES = {"ttwid": 32, "fpk1": 32, "s_v_web_id": 16, "odin_tt": 32}
_MONTH = 30 * 86400

_HTML = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>Jimeng simulator</title>
<link rel="stylesheet" href="/static/page.css">
<script src="/static/analytics.js"></script>
<script>window.__page = {settings};</script>
{sdk}</head><body><img src="/static/logo.png" alt="">
<h1>Jimeng simulator</h1>
<p>This is not the Jimeng site. It is a simulator for tests, on this machine only:
it takes no real account and its videos show nothing but the prompt.</p>
</body></html>"""


def page(world: World) -> Endpoint:
    """The page: any path below /ai-tool, and the root."""

    async def endpoint(request: Request) -> Response:
        cookies = {name: request.cookies.get(name) for name in (*_COOKIES, "msToken")}
        fresh = {name: _fresh(name) for name, value in cookies.items() if not value}
        session = request.cookies.get("sessionid", "")
        ttwid = cookies["ttwid"] or fresh["ttwid"]
        response = HTMLResponse(_html(world, session, ttwid))
        for name, value in fresh.items():
            response.set_cookie(name, value, max_age=_MONTH, samesite="lax")
        _note(world, request, session)
        return response

    return endpoint


def sdk(_request: Request) -> Response:
    """The page's script as a file of its own."""
    return Response(_script(), media_type="text/javascript")


def static(request: Request) -> Response:
    """Things a signer has no use for, so that a test sees whether it filters them."""
    name = request.path_params["name"]
    kinds = {"css": "text/css", "js": "text/javascript", "png": "image/png"}
    return Response(b"", media_type=kinds.get(name.rpartition(".")[2], "text/plain"))


def _html(world: World, session: str, ttwid: str) -> str:
    page_id, key = bogus.issue(world, session, ttwid)
    settings = {"id": page_id, "key": key, "delay": world.knobs.sdk_delay_ms}
    inline = f"<script>{_script()}</script>"
    script = f'<script src="{SDK_PATH}"></script>'
    return _HTML.format(
        settings=json.dumps(settings),
        sdk=inline if world.knobs.sdk_inline else script,
    )


def _fresh(name: str) -> str:
    if name == "msToken":
        return secrets.token_hex(bogus.TOKEN_LENGTH // 2)
    return secrets.token_hex(_COOKIES[name])


def _note(world: World, request: Request, session: str) -> None:
    account = world.accounts.get(session)
    noted(request).uid = account.uid if account else None
    noted(request).verdict = "200"


@cache
def _script() -> str:
    return (files("simulator") / "bdms.js").read_text("utf-8")
