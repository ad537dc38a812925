"""Checks what a client computed: the Sign header, AWS4 signatures, CRC-32."""

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from simulator.errors import RefusedError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_SKEW_SECONDS = 900
"""AWS's own tolerance between the request's date and the server's clock."""


class SignatureError(Exception):
    """An upload call is not signed as AWS4 asks; `code` is the word of the answer."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def sign(path: str, device_time: str, *, pf: str, appvr: str, tdid: str) -> str:
    """The site's Sign: MD5 over the path's last seven characters and four headers."""
    text = "|".join(("9e2c", path[-7:], pf, appvr, device_time, tdid, "11ac"))
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - the site's choice


def check_sign(path: str, headers: Mapping[str, str], now: float) -> None:
    """Refuse (1014) a Sign that does not follow from the request's own headers."""
    device_time = headers.get("device-time", "")
    if not device_time.isdigit() or abs(int(device_time) - now) > _SKEW_SECONDS:
        raise RefusedError("1014")
    expected = sign(
        path,
        device_time,
        pf=headers.get("pf", ""),
        appvr=headers.get("appvr", ""),
        tdid=headers.get("tdid", ""),
    )
    given = headers.get("sign", "")
    if headers.get("sign-ver") != "1" or not hmac.compare_digest(expected, given):
        raise RefusedError("1014")


def crc32(data: bytes) -> str:
    """The ordinary CRC-32 as the upload hosts write it: eight lower-case digits."""
    return f"{zlib.crc32(data):08x}"


@dataclass(frozen=True)
class Claim:
    """What an Authorization header says of itself."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        """The credential scope, a part of the string to sign."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_claim(headers: Mapping[str, str]) -> Claim:
    """Take the Authorization header apart."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        raise SignatureError("MissingAuthenticationToken", "no AWS4 authorization")
    key, date, region, service, names, signature = found.groups()
    return Claim(key, date, region, service, tuple(names.split(";")), signature)


def check_aws4(
    claim: Claim,
    secret: str,
    *,
    method: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Recompute the signature over exactly the headers the request says it signed."""
    _check_coverage(claim, headers, body)
    canonical = _canonical(claim, method, raw_query, headers, body)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    lines = ("AWS4-HMAC-SHA256", headers["x-amz-date"], claim.scope, digest)
    expected = _hmac(_key(secret, claim), "\n".join(lines)).hex()
    if not hmac.compare_digest(expected, claim.signature):
        raise SignatureError("SignatureDoesNotMatch", "the signature does not match")


def check_date(claim: Claim, headers: Mapping[str, str], now: float) -> None:
    """Refuse a request dated far from now, or on another day than its scope."""
    stamp = headers.get("x-amz-date", "")
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("InvalidTimestamp", "x-amz-date is not a date") from None
    if not stamp.startswith(claim.date):
        raise SignatureError("SignatureDoesNotMatch", "scope and x-amz-date differ")
    if abs(moment.timestamp() - now) > _SKEW_SECONDS:
        raise SignatureError("RequestExpired", "x-amz-date is too far from now")


def _check_coverage(claim: Claim, headers: Mapping[str, str], body: bytes) -> None:
    for needed in ("x-amz-date", "x-amz-security-token"):
        if needed not in claim.signed_headers:
            raise SignatureError("SignatureDoesNotMatch", f"{needed} is not signed")
    if list(claim.signed_headers) != sorted(claim.signed_headers):
        raise SignatureError("SignatureDoesNotMatch", "SignedHeaders is not sorted")
    if any(name not in headers for name in claim.signed_headers):
        raise SignatureError("SignatureDoesNotMatch", "a signed header is missing")
    told = headers.get("x-amz-content-sha256")
    if told is not None and told != hashlib.sha256(body).hexdigest():
        raise SignatureError("XAmzContentSHA256Mismatch", "the body's hash differs")


def _canonical(
    claim: Claim,
    method: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> str:
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in raw_query.split("&"))
    named = [f"{name}:{headers[name].strip()}\n" for name in claim.signed_headers]
    return "\n".join(
        (
            method,
            "/",
            "&".join(pairs),
            "".join(named),
            ";".join(claim.signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    )


def _key(secret: str, claim: Claim) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
