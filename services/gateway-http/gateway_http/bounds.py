"""How long a body may be: a mebibyte, unless its route takes files and says so."""

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 1024 * 1024
_PLACE = "body"


class Bound:
    """What is left of one request's."""

    def __init__(self) -> None:
        self.most: int | None = LARGEST
        self._came = 0

    def take(self, size: int) -> None:
        """Count what came. Raises HTTPException, which FastAPI lets through."""
        self._came += size
        if self.most is not None and self._came > self.most:
            raise HTTPException(413, f"a body ends at {self.most // 1024} KiB here")


class Bounded:
    """Counts bodies as they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        bound = scope[_PLACE] = Bound()

        async def counted() -> Message:
            message = await receive()
            bound.take(len(message.get("body", b"")))
            return message

        await self._app(scope, counted, send)


def has_own_limit(asking: HTTPConnection) -> None:
    """Say that who reads this request's body counts for itself."""
    bound: Bound = asking.scope[_PLACE]
    bound.most = None
