"""People at the door: browsers, and a gateway that lets them sign in."""

from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from issuer_support import CLIENT, CLIENT_SECRET
from support import PLAIN, free_port

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Browser:
    """What a person's browser does: keeps cookies, follows where it is sent."""

    def __init__(self, url):
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, verify=PLAIN, timeout=30)

    async def depart(self, **query):
        """Press the provider's button; return what the provider sends back to us."""
        query = {"via": "provider"} | query
        sent = await self.http.get("/auth/login", params=query)
        assert sent.status_code == 303, sent.text
        there = await self.http.get(sent.headers["location"])
        assert there.status_code == 302, there.text
        return there.headers["location"]

    async def sign_in(self, **query):
        """Sign in with the provider; return our last answer."""
        return await self.http.get(await self.depart(**query))

    async def with_key(self, key, **more):
        """Send the page's form."""
        origin = {"origin": self.url}
        form = {"key": key} | more
        return await self.http.post("/auth/login", data=form, headers=origin)

    async def me(self):
        return await self.http.get("/auth/me")

    def cookie(self, name="jimeng"):
        return self.http.cookies.get(name)


@asynccontextmanager
async def entrance(open_door, issuer_url, **more):
    """Run a gateway that knows a provider; `door.browser()` makes browsers."""
    port = more.pop("port", None) or free_port()
    url = f"http://127.0.0.1:{port}"
    about = {
        "port": port,
        "public_url": url,
        "oidc_issuer_url": issuer_url,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": CLIENT_SECRET,
    }
    async with AsyncExitStack() as closing:

        def browser(at=url):
            made = Browser(at)
            closing.push_async_callback(made.http.aclose)
            return made

        door = await closing.enter_async_context(open_door(**(about | more)))
        door.browser = browser
        door.url = url
        yield door
