"""The client of one account: everything that is asked of the site."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from jimeng.account import Account
from jimeng.answers import (
    Answer,
    at,
    expect_success,
    read_answer,
    sequence,
    word,
)
from jimeng.clock import SITE_CLOCK, SiteClock
from jimeng.draft import Submission
from jimeng.errors import (
    JimengError,
    NoAnswer,
    Refused,
    SessionEffect,
    Unknown,
)
from jimeng.files import open_file
from jimeng.materials import Uploaded
from jimeng.poll import IMAGE_INFO, Node, read_history
from jimeng.results import read_item
from jimeng.standing import Credits, Live, read_credits, read_passport
from jimeng.submit import Accepted, read_submit
from jimeng.upload import Uploader, UploadToken
from jimeng.upstream import (
    PAGE_PATH,
    PLACES,
    Upstream,
    browser_headers,
    common_headers,
    common_query,
)
from jimeng.wire import Gate, Reply, Wire

SUBMIT_SECONDS = 30.0
SIGN_ERROR = "1014"
_BIG_CHARS = 256 * 1024  # of JSON take some 5 ms to parse
_HOME = "/ai-tool/home"
_IMAGE_SCENE, _MEDIA_SCENE = 2, 1


class Jimeng:
    """One account's client, used as `async with Jimeng(account) as site`.

    Reads raise Refused, Unreachable, NoAnswer or BadAnswer. Nothing is retried here:
    the caller knows what a second try costs.
    """

    def __init__(
        self,
        account: Account,
        upstream: Upstream | None = None,
        *,
        timeout: float = 30.0,
        clock: SiteClock = SITE_CLOCK,
    ) -> None:
        self.account = account
        self.upstream = upstream or Upstream()
        self._clock = clock
        self._wire = Wire(account.proxy, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    async def credits(self) -> Credits:
        """The account's credits. Ask seldom: hammering it provokes risk control."""
        answer = await self._read("/commerce/v1/benefits/user_credit", {}, query={})
        return read_credits(answer)

    async def live(self) -> Live:
        """Whether the login is valid: by passport in China, by credits elsewhere.

        The international hosts answer the passport path with 404.
        """
        china = self.account.region == "cn"
        try:
            return await (self._passport() if china else self._solvent())
        except Refused as error:
            if error.effect.session is SessionEffect.EXPIRE:
                return Live(alive=False, text=str(error))
            raise

    async def _solvent(self) -> Live:
        await self.credits()
        return Live(alive=True)

    async def _passport(self) -> Live:
        path = "/passport/account/info/v2"
        query = {"account_sdk_source": "web"}
        answer = await self._read(path, None, query=query)
        return read_passport(answer)

    async def upload_image(
        self, source: Path | str | bytes, *, name: str = ""
    ) -> Uploaded:
        """Upload an image, from a path or from memory. Raises UploadFailed."""
        file = await open_file(source, name)
        uploader = await self._uploader(_IMAGE_SCENE)
        return await uploader.image(file)

    async def upload_media(
        self,
        kind: Literal["video", "audio"],
        source: Path | str | bytes,
        *,
        name: str = "",
        duration_ms: int = 0,
    ) -> Uploaded:
        """Upload a video or audio file. Raises UploadFailed.

        `duration_ms` is taken when the service has not measured one, as with audio.
        """
        file = await open_file(source, name)
        uploader = await self._uploader(_MEDIA_SCENE)
        return await uploader.media(kind, file, duration_ms)

    async def upload(
        self,
        kind: Literal["image", "video", "audio"],
        source: Path | str | bytes,
        *,
        name: str = "",
        duration_ms: int = 0,
    ) -> Uploaded:
        """Upload a file of any kind."""
        if kind == "image":
            return await self.upload_image(source, name=name)
        return await self.upload_media(kind, source, name=name, duration_ms=duration_ms)

    async def _uploader(self, scene: int) -> Uploader:
        answer = await self._read("/mweb/v1/get_upload_token", {"scene": scene})
        token = UploadToken.read(expect_success(answer), answer)
        return Uploader(
            self._wire,
            account=self.account,
            upstream=self.upstream,
            token=token,
            clock=self._clock,
        )

    async def submit(
        self,
        submission: Submission,
        *,
        gate: Gate | None = None,
        within: float = SUBMIT_SECONDS,
    ) -> Accepted:
        """Send a submit once, by plain HTTP.

        `gate` is called right before the bytes leave and may raise to stop them. Raises
        Refused for a certain no, Unreachable when nothing was sent, and Unknown for
        everything else, also when the answer is not there `within` so many seconds.
        """
        headers = self._headers(submission.path, submission.referer)
        try:
            reply = await self._wire.exchange(
                "POST",
                submission.url(self.upstream, self.account.region),
                headers=headers,
                content=submission.body.encode(),
                gate=gate,
                within=within,
            )
        except NoAnswer as error:
            raise Unknown(str(error)) from error
        self._clock.heard(reply.date)
        return read_submit(reply.status, reply.text, secrets=self.account.secrets())

    async def history(
        self, submit_ids: Iterable[str], *, images: bool = False
    ) -> dict[str, Node]:
        """The tasks of these submit ids, by one call; unknown ones are absent.

        `images`: some of them make images.
        """
        ids = list(dict.fromkeys(submit_ids))
        if not ids:
            return {}
        path = "/mweb/v1/get_history_by_ids"
        info = {"image_info": IMAGE_INFO} if images else {}
        asked = {"submit_ids": ids, **info}
        answer = await self._read(path, asked, {"x-platform": "pc"})
        data = expect_success(answer)
        if not isinstance(data, dict):  # or all would seem to be absent
            raise answer.bad("no history")
        return read_history(
            data,
            ids,
            take=self.upstream.link,
            secrets=self.account.secrets(),
        )

    async def best_url(self, item_id: str) -> str | None:
        """A link of higher bit rate than the preview; None whenever there is none."""
        body = {
            "item_id_list": [item_id],
            "pack_item_opt": {"scene": 1, "need_data_integrity": True},
            "is_for_video_download": True,
        }
        try:
            answer = await self._read("/mweb/v1/get_local_item_list", body)
            data = expect_success(answer)
        except JimengError:
            return None
        return self._best(data, item_id)

    def _best(self, data: Any, item_id: str) -> str | None:
        listed = sequence(at(data, "item_list")) or sequence(
            at(data, "local_item_list")
        )
        items = [read_item(each, self.upstream.link) for each in listed]
        asked = [item for item in items if item.id == item_id] or items
        return next((link.url for item in asked for link in item.links), None)

    @asynccontextmanager
    async def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Fetch a result through the account's proxy; the caller reads the body.

        Without cookies: the link itself is signed. Redirects are not followed.
        Raises what httpx raises.
        """
        region = self.account.region
        accept = PLACES[region].accept_language
        site = self.upstream.site_origin(region)
        own = browser_headers(site, f"{PAGE_PATH}video", accept, "cross-site")
        async with self._wire.stream(url, own | dict(headers or {})) as response:
            yield response

    async def _read(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """One read of the site. Without a `query` of its own it has the common one."""
        ask = partial(self._ask, path, body, headers or {}, query)
        answer, late = await ask()
        # Signed at the wrong time: nothing was done, so it is asked once more.
        refused_sign = word(answer.body.get("ret")) == SIGN_ERROR
        return (await ask())[0] if late and refused_sign else answer

    async def _ask(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
    ) -> tuple[Answer, bool]:
        """Ask, and tell whether the answer puts our clock right."""
        query = common_query(self.account) if query is None else query
        url = httpx.URL(self.upstream.api(self.account.region, path), params=query)
        reply: Reply = await self._wire.exchange(
            "POST",
            str(url),
            headers=self._headers(path, _HOME) | dict(headers),
            content=b"" if body is None else json.dumps(body).encode(),
        )
        late = self._clock.heard(reply.date)
        arguments = (reply.status, reply.text, self.account.secrets())
        if len(reply.text) > _BIG_CHARS:
            return await asyncio.to_thread(read_answer, *arguments), late
        return read_answer(*arguments), late

    def _headers(self, path: str, referer: str) -> dict[str, str]:
        return common_headers(
            self.account,
            self.upstream,
            path,
            referer=referer,
            device_time=int(self._clock()),
        )
