"""Which links are followed, and what an answer to one means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import blobs
import jimeng
import media
from contracts.errors import ErrorCode
from contracts.tasks import Stored, StoreFailed, StoreResults
from contracts.values import Item, ResultRef
from contracts.workers import Credential

OK, PARTIAL, NOT_FOUND, TOO_FAR = 200, 206, 404, 416
_EXPIRED = {401, 403, 410}
_LATER = {408, 425, 429}
_SERVER_ERROR = 500

# Nothing two parsers could read differently: no user, no backslash, no blank.
_URL = re.compile(
    r"(?P<origin>(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?:[/?][^\s\\]*)?",
    re.IGNORECASE,
)
_RANGE = re.compile(r"bytes (?:(?P<start>[0-9]+)-[0-9]+|\*)/(?P<total>[0-9]+)")

_MADE = _RESULT, _POSTER = "result-", "poster-"

Meaning = Literal["all", "rest", "complete", "expired", "useless", "later", "anew"]


def account_of(credential: Credential) -> jimeng.Account:
    """Return the site's account of a credential."""
    return jimeng.Account(
        sessionid=credential.sessionid,
        region=credential.region,  # type: ignore[arg-type]  # Account checks it
        web_id=credential.web_id,
        user_id=credential.user_id,
        proxy=credential.proxy,
    )


def allowed(url: str, upstream: str | None, hosts: Sequence[str]) -> bool:
    """Whether a link leads where results lie.

    With an upstream that is this very origin; without, https on one of the hosts.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return False
    if upstream:
        return found["origin"].lower() == upstream.lower()
    if found["scheme"].lower() != "https" or found["port"] not in (None, "443"):
        return False
    host = found["host"].lower()
    return any(host == each or host.endswith(f".{each}") for each in hosts)


def secured(url: str, upstream: str | None) -> str:
    """Return a link of the real site as https: some it hands out are not."""
    if upstream or not url.lower().startswith("http://"):
        return url
    return f"https://{url[len('http://') :]}"


def resuming(size: int, tag: str) -> dict[str, str]:
    """Return the headers that ask for the rest of these very bytes (RFC 9110 §14)."""
    identity = {"Accept-Encoding": "identity"}
    if not (size and tag):
        return identity
    return identity | {"Range": f"bytes={size}-", "If-Range": tag}


def tag_of(headers: Mapping[str, str]) -> str:
    """Return what tells these bytes from any others; empty: nothing does."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified", "")


def total_of(headers: Mapping[str, str]) -> int | None:
    """Return the size of the whole, where it was told."""
    if found := _RANGE.fullmatch(headers.get("content-range", "")):
        return int(found["total"])
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def meaning(status: int, headers: Mapping[str, str], size: int, tag: str) -> Meaning:
    """Say what an answer is, given how many bytes of `tag` are there already."""
    if status == OK:
        encoded = headers.get("content-encoding", "identity") != "identity"
        return "useless" if encoded else "all"
    if status == PARTIAL:
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        same = tag_of(headers) in ("", tag)
        fits = found is not None and found["start"] == str(size) and same
        return "rest" if fits else "anew"
    if status == TOO_FAR:
        return "complete" if size and total_of(headers) == size else "anew"
    if status in _EXPIRED:
        return "expired"
    if status in _LATER or status >= _SERVER_ERROR:
        return "later"
    return "useless"


def fresh_links(node: jimeng.Node | None, index: int, item: Item) -> list[str] | None:
    """Return the links the site gives now; None: it does not say at the moment."""
    if node is None or isinstance(node.outcome, jimeng.Running):
        return None
    if not isinstance(node.outcome, jimeng.Finished):
        return []
    items = node.outcome.items
    named = [each for each in items if each.id and each.id == item.id]
    found = named or list(items[index : index + 1])
    return [link.url for each in found for link in each.links]


def items_of(node: jimeng.Node | None) -> list[Item] | None:
    """Return what the site made, its links left to ask for; None: as above."""
    if node is None or isinstance(node.outcome, jimeng.Running):
        return None
    if not isinstance(node.outcome, jimeng.Finished):
        return []
    return [Item(id=each.id, urls=()) for each in node.outcome.items]


@dataclass(frozen=True, slots=True)
class Place:
    """Which result of which task: the names it is stored under."""

    task: str
    index: int

    @property
    def draft(self) -> str:
        """The key of what is not whole yet, whatever it will turn out to be."""
        return f"{self.task}/{_RESULT}{self.index}"

    def key(self, extension: str) -> str:
        """Return the key of the stored result."""
        return f"{self.draft}.{extension}"

    @property
    def poster(self) -> str:
        """The key of the picture of it."""
        return f"{self.task}/{_POSTER}{self.index}.jpg"

    def among(self, keys: Sequence[str]) -> str | None:
        """Return the key of this result, if it is one of these."""
        return next((k for k in keys if k.startswith(f"{self.draft}.")), None)

    def result(
        self, key: str, found: media.Probed, as_: blobs.Written, poster: str | None
    ) -> ResultRef:
        """Return what is told of the stored result."""
        return ResultRef(
            index=self.index,
            key=key,
            mime=found.mime,
            size=as_.size,
            sha256=as_.sha256,
            width=found.width,
            height=found.height,
            duration_ms=found.duration_ms,
            poster=poster,
        )


def is_result(key: str) -> bool:
    """Whether a key is of a result or its picture, and not of what a client gave."""
    return key.partition("/")[2].startswith(_MADE)


def stored(command: StoreResults, results: Sequence[ResultRef]) -> Stored:
    """Return what is there, counted anew: of several, one may not be had."""
    counted = (r.model_copy(update={"index": n}) for n, r in enumerate(results))
    return Stored(task=command.task, attempt=command.attempt, results=tuple(counted))


def failed(command: StoreResults, detail: str) -> StoreFailed:
    """Return that what the site made cannot be had."""
    return StoreFailed(
        task=command.task,
        attempt=command.attempt,
        code=ErrorCode.DOWNLOAD_FAILED,
        detail=detail,
    )
