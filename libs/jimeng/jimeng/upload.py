"""Uploads: images to ImageX, video and audio to VOD.

Both go the same way: apply with the keys of an upload token and be told a host, send
the raw bytes there, commit. What went wrong on the way is UploadFailed.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import choice
from string import ascii_lowercase, digits
from typing import Any, Literal

from jimeng.account import Account
from jimeng.answers import (
    FIRST_HTTP_ERROR,
    Answer,
    at,
    kept,
    number,
    read_answer,
    sequence,
    whole,
    word,
)
from jimeng.errors import BadAnswer, NoAnswer, Unreachable, UploadFailed
from jimeng.files import Content, File
from jimeng.materials import Uploaded
from jimeng.signing import Keys, aws4_headers, query_string
from jimeng.upstream import PAGE_PATH, PLACES, Upstream, browser_headers
from jimeng.wire import Reply, Wire

UPLOADED = 2000  # `code` of a taken file, `UriStatus` of a committed one
_FIRST_SERVER_ERROR = 500
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class UploadToken:
    """What `get_upload_token` gives: keys for about an hour, and where they apply."""

    access_key: str
    secret_key: str
    session_token: str
    service_id: str
    space_name: str

    @classmethod
    def read(cls, data: Any, answer: Answer) -> "UploadToken":
        """BadAnswer when a key is missing."""
        names = ("access_key_id", "secret_access_key", "session_token")
        access_key, secret_key, session_token = (word(at(data, n)) for n in names)
        if not (access_key and secret_key and session_token):
            raise answer.bad("no keys")
        return cls(
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            service_id=word(at(data, "service_id")),
            space_name=word(at(data, "space_name")),
        )

    def keys(self, service: Literal["imagex", "vod"], region: str) -> Keys:
        """The keys as a signature takes them."""
        return Keys(
            self.access_key, self.secret_key, self.session_token, service, region
        )


class Uploader:
    """Uploads one file with one token."""

    def __init__(
        self,
        wire: Wire,
        *,
        account: Account,
        upstream: Upstream,
        token: UploadToken,
        clock: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._china = account.region == "cn"
        self._upstream = upstream
        self._token = token
        self._clock = clock
        self._secrets = (*account.secrets(), token.secret_key, token.session_token)
        place = PLACES[account.region]
        self._aws_region = place.aws_region
        self._imagex = upstream.imagex(account.region)
        self._headers = browser_headers(
            upstream.site_origin(account.region),
            f"{PAGE_PATH}video",
            place.accept_language,
            fetch_site="cross-site",
        )

    async def image(self, file: File) -> Uploaded:
        """Upload an image; its size and format are what the service has measured."""
        keys = self._token.keys("imagex", self._aws_region)
        place = {"Version": "2018-08-01", "ServiceId": self._service()}
        apply = {"Action": "ApplyImageUpload", **place, "FileSize": str(file.size)}
        apply |= {"s": _nonce()} | ({} if self._china else {"device_platform": "web"})
        address = await self._call(file, keys, origin=self._imagex, query=apply)
        await self._put(file, at(address, "UploadAddress"))
        commit = {"Action": "CommitImageUpload", **place}
        body = {"SessionKey": word(at(address, "UploadAddress", "SessionKey"))}
        result = await self._call(
            file, keys, origin=self._imagex, query=commit, body=body
        )
        return _image(file, result)

    def _service(self) -> str:
        """International accounts name the space where the API says service."""
        if self._china:
            return self._token.service_id or "tb4s082cfz"
        return self._token.space_name or "wopfjsm1ax"

    async def media(
        self, kind: Literal["video", "audio"], file: File, duration_ms: int
    ) -> Uploaded:
        """Upload a video or an audio file, which VOD calls a video as well."""
        keys = self._token.keys("vod", self._aws_region)
        origin = self._upstream.vod()
        space = self._token.space_name or "dreamina"
        place = {"Version": "2020-11-19", "SpaceName": space}
        apply = {"Action": "ApplyUploadInner", **place, "FileType": "video"}
        apply |= {"IsInner": "1", "FileSize": str(file.size), "s": _nonce()}
        address = await self._call(file, keys, origin=origin, query=apply)
        nodes = sequence(at(address, "InnerUploadAddress", "UploadNodes"))
        node = nodes[0] if nodes else None
        await self._put(file, node)
        commit = {"Action": "CommitUploadInner", **place}
        body = {"SessionKey": word(at(node, "SessionKey")), "Functions": []}
        result = await self._call(file, keys, origin=origin, query=commit, body=body)
        return _media(kind, file, result, duration_ms)

    async def _call(
        self,
        file: File,
        keys: Keys,
        *,
        origin: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """One call of the service's API, a POST when it has a body: its `Result`."""
        method = "POST" if body else "GET"
        content = json.dumps(body, separators=(",", ":")).encode() if body else b""
        now = datetime.fromtimestamp(self._clock(), UTC)
        headers = self._headers | aws4_headers(keys, method, query, content, now)
        if body:
            headers["Content-Type"] = "application/json"
        url = f"{origin}/?{query_string(query)}"
        reply = await self._send(
            file, method, url, headers=headers, content=content or None
        )
        answer = self._parse(file, query["Action"], reply)
        error = at(answer.body, "ResponseMetadata", "Error")
        if error or reply.status >= FIRST_HTTP_ERROR:
            why = f"{query['Action']}: {word(at(error, 'Code')) or reply.status}"
            raise self._failed(file, why, reply)
        return answer.body.get("Result")

    async def _put(self, file: File, address: Any) -> None:
        """Send the raw bytes to the host the address names."""
        stores = sequence(at(address, "StoreInfos"))
        uri = word(at(stores[0], "StoreUri")) if stores else ""
        auth = word(at(stores[0], "Auth")) if stores else ""
        hosts = sequence(at(address, "UploadHosts")) or [at(address, "UploadHost")]
        host = word(hosts[0])
        if not (uri and auth and _HOST.fullmatch(host)):
            raise UploadFailed(file.name, "the service named no place to upload to")
        url = f"{self._upstream.at_host(host)}/upload/v1/{uri}"
        headers = self._headers | {
            "Authorization": auth,
            "Content-CRC32": file.crc32,
            "Content-Type": "application/octet-stream",
            "Content-Disposition": 'attachment; filename="undefined"',
            "Content-Length": str(file.size),
        }
        async with file.content() as content:
            reply = await self._send(
                file, "POST", url, headers=headers, content=content
            )
        answer = self._parse(file, "upload", reply)
        if whole(answer.body.get("code")) != UPLOADED:
            raise self._failed(file, f"upload: {word(answer.body.get('code'))}", reply)

    async def _send(
        self,
        file: File,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: Content | None,
    ) -> Reply:
        try:
            return await self._wire.exchange(
                method, url, headers=headers, content=content
            )
        except (Unreachable, NoAnswer) as error:
            raise UploadFailed(file.name, str(error)) from error

    def _parse(self, file: File, step: str, reply: Reply) -> Answer:
        try:
            return read_answer(reply.status, reply.text, self._secrets)
        except BadAnswer as error:
            raise self._failed(file, f"{step}: {error}", reply) from error

    def _failed(self, file: File, why: str, reply: Reply) -> UploadFailed:
        return UploadFailed(
            file.name,
            why,
            temporary=reply.status >= _FIRST_SERVER_ERROR,
            answer=kept(reply.text, self._secrets),
        )


def _nonce() -> str:
    return "".join(choice(ascii_lowercase + digits) for _ in range(10))


def _first(result: Any, name: str) -> Any:
    found = sequence(at(result, name))
    return found[0] if found else None


def _image(file: File, result: Any) -> Uploaded:
    committed = _first(result, "Results")
    measured = _first(result, "PluginResult")
    uri = word(at(committed, "Uri")) or word(at(measured, "ImageUri"))
    status = whole(at(committed, "UriStatus"))
    if status != UPLOADED or not uri:
        raise UploadFailed(file.name, f"not committed: UriStatus {status}")
    return Uploaded(
        kind="image",
        uri=uri,
        width=whole(at(measured, "ImageWidth")) or 0,
        height=whole(at(measured, "ImageHeight")) or 0,
        format=word(at(measured, "ImageFormat")),
        name=file.name,
    )


def _media(
    kind: Literal["video", "audio"], file: File, result: Any, duration_ms: int
) -> Uploaded:
    """VOD measures seconds, the draft wants milliseconds; audio may come without."""
    committed = _first(result, "Results")
    measured = at(committed, "VideoMeta")
    vid = word(at(committed, "Vid"))
    if not vid:
        raise UploadFailed(file.name, "not committed: no Vid")
    return Uploaded(
        kind=kind,
        uri=word(at(measured, "Uri")),
        vid=vid,
        width=whole(at(measured, "Width")) or 0,
        height=whole(at(measured, "Height")) or 0,
        duration_ms=round((number(at(measured, "Duration")) or 0) * 1000)
        or duration_ms,
        format=word(at(measured, "Format")),
        name=file.name,
    )
