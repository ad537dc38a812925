"""What the routes work with; built once, in `app.py`."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel

from blobs import Store
from contracts.bus import Bus
from gateway_http.hooks import Hooks
from gateway_http.links import LinkKeys, Links
from gateway_http.live.hub import Hub
from gateway_http.live.slots import Slots
from gateway_http.problems import unavailable
from gateway_http.signin.desk import Desk
from gateway_http.workers import NO_BROWSER, Workers
from runtime.room import Room

TaskId = Annotated[str, Path(min_length=1, max_length=64, description="A task's id.")]


@dataclass(frozen=True)
class Patience:
    """How long a request may wait for others, in seconds."""

    accept: float = 10.0
    check: float = 20.0
    ping: float = 15.0
    """How long a stream may be silent before it says that it lives."""
    stream: float = 900.0
    """How long one may last: who has it may be nobody meanwhile."""
    wait: float = 300.0
    keys: float = 60.0
    """How long an issuer is not asked for its keys again, whatever tokens name."""


@dataclass(frozen=True)
class Parts:
    """The adapters of the service."""

    bus: Bus
    store: Store
    workers: Workers
    room: Room
    hooks: Hooks
    hub: Hub
    slots: Slots
    link_keys: LinkKeys
    signed: bool = False
    """Whether results need a key, so that they are linked to by signed links."""
    desk: Desk | None = None
    """Where people sign in; None: there is no sign-in."""
    public_url: str = ""
    takes_tokens: bool = False
    """Whether bearers may be session tokens: `lending`."""
    video_wait: int = 0
    """How long compatible routes wait for the end, where their client says nothing."""
    patience: Patience = Patience()

    async def can_make(self, *, in_page: bool) -> None:
        """Raise a Problem where a job needs a browser and there is none."""
        beats = await self.workers.beats()
        if in_page and beats.known and not beats.has_browser:
            raise unavailable(NO_BROWSER, "browser_missing")

    def links(self, request: Request) -> Links:
        """Return how results are linked to in the answer to a request."""
        return Links(self.base(request), self.link_keys if self.signed else None)

    def base(self, request: Request) -> str:
        """Return what our links begin with; the guard has checked the Host."""
        return self.public_url or f"{request.url.scheme}://{request.headers['host']}"


Answers = dict[int | str, dict[str, Any]]


def still(model: type[BaseModel], text: str) -> Answers:
    """Describe a 202: what was asked for still goes on."""
    return {202: {"model": model, "description": text}}


def problems(*statuses: int) -> Answers:
    """Name the noes of a route, but for those of every one; /docs says the rest."""
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}
