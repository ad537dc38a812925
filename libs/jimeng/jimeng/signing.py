"""The site's two signatures and its checksum, as pure functions.

Every request to the site carries the header `Sign`; the upload services (ImageX
for images, VOD for video and audio) ask for AWS Signature Version 4 with the
temporary keys of an upload token; the raw bytes carry an ordinary CRC-32.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from zlib import crc32

PLATFORM = "7"  # header `Pf`
APP_VERSION = "8.4.0"  # header `Appvr`; part of the signature
DEVICE_ID = ""  # header `Tdid`; browsers send it empty


def sign(path: str, device_time: int) -> str:
    """Value of the `Sign` header for a URL path at a unix time.

    The site's page joins a salt, the last seven characters of the path, `Pf`,
    `Appvr`, `Device-Time`, `Tdid` and a second salt with bars, and takes the MD5.
    """
    tail = urlsplit(path).path[-7:]
    parts = ("9e2c", tail, PLATFORM, APP_VERSION, str(device_time), DEVICE_ID, "11ac")
    return hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()


def checksum(chunks: Iterable[bytes]) -> str:
    """CRC-32 (IEEE) of a file given in pieces: eight lower-case hex digits."""
    value = 0
    for chunk in chunks:
        value = crc32(chunk, value)
    return f"{value:08x}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Temporary keys of one upload token, for one service and region."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    service: str
    region: str


def query_string(query: Mapping[str, str]) -> str:
    """The query as it is sent and signed: percent-encoded, in the given order."""
    return "&".join(
        f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items()
    )


def aws4_headers(
    keys: Keys, method: str, query: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    """The headers that authorise one call of ImageX or VOD at path `/`.

    A POST signs the hash of its body too. `host` is not among the signed headers,
    as the page's own upload library leaves it out.
    """
    headers = {
        "x-amz-date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "x-amz-security-token": keys.token,
    }
    if method == "POST":
        headers["x-amz-content-sha256"] = _sha256(body)
    return headers | {
        "authorization": _authorization(keys, method, query, body, headers)
    }


def _authorization(
    keys: Keys,
    method: str,
    query: Mapping[str, str],
    body: bytes,
    headers: Mapping[str, str],
) -> str:
    names = ";".join(sorted(headers))
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{keys.region}/{keys.service}/aws4_request"
    request = _sha256(_canonical(method, query, body, headers).encode())
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}"
    signature = hmac.new(_signing_key(keys, date[:8]), text.encode(), hashlib.sha256)
    return (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature.hexdigest()}"
    )


def _canonical(
    method: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
) -> str:
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    ordered = query_string(dict(sorted(query.items())))
    names = ";".join(sorted(headers))
    return "\n".join((method, "/", ordered, lines, names, _sha256(body)))


def _signing_key(keys: Keys, day: str) -> bytes:
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, keys.region, keys.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
