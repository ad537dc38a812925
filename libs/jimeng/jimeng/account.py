"""An account of the site: its credential, its region, and who it says it is."""

import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from jimeng.errors import InvalidAccount

Region = Literal["cn", "us", "hk", "jp", "sg"]
PROXY_SCHEMES = ("http", "https", "socks", "socks4", "socks5")

_PREFIX = re.compile(r"(us|hk|jp|sg)-", re.IGNORECASE)
_SESSION_ID = re.compile(r"(?!.*[\\\",;=])[!-~]{1,512}")  # as a cookie value
_WEB_ID_FLOOR = 7 * 10**18


@dataclass(frozen=True, slots=True)
class Identity:
    """The two numbers a browser profile keeps: `web_id` and `user_id`."""

    web_id: str
    user_id: str


def identity(seed: str) -> Identity:
    """The identity that belongs to a seed: the same one each time.

    `web_id` is a true 19-digit integer in [7e18, 8e18). It travels in the query and
    in a cookie, and the site takes a difference between the two as a sign of abuse.
    """
    digest = sha256(f"jimeng identity\n{seed}".encode()).digest()
    number = _WEB_ID_FLOOR + int.from_bytes(digest[:12]) % 10**18
    return Identity(web_id=str(number), user_id=digest[16:].hex())


@dataclass(frozen=True, slots=True)
class Account:
    """One login of the site. Its secrets are masked wherever it is shown."""

    sessionid: SecretStr
    region: Region
    web_id: str
    user_id: str
    proxy: SecretStr | None = field(default=None)

    def __post_init__(self) -> None:
        if self.region not in get_args(Region):
            raise InvalidAccount("the region is one of cn, us, hk, jp, sg")
        if not re.fullmatch(r"7[0-9]{18}", self.web_id):
            raise InvalidAccount("web_id is a 19-digit number that begins with 7")
        if not re.fullmatch(r"[0-9a-f]{32}", self.user_id):
            raise InvalidAccount("user_id is 32 lower-case hex digits")

    @classmethod
    def parse(
        cls, text: str, *, web_id: str | None = None, user_id: str | None = None
    ) -> Self:
        """Read `[proxy@][us-|hk-|jp-|sg-]<sessionid>`.

        Without a stored `web_id` and `user_id` the account gets the ones that belong
        to its session id. Raises InvalidAccount, which never repeats the text.
        """
        proxy, _, token = text.strip().rpartition("@")
        region, sessionid = _region(token)
        made = identity(sessionid)
        return cls(
            sessionid=SecretStr(_session_id(sessionid)),
            region=region,
            web_id=web_id or made.web_id,
            user_id=user_id or made.user_id,
            proxy=SecretStr(_proxy(proxy)) if proxy else None,
        )

    def through(self, proxy: str | None) -> Self:
        """The same account behind another proxy. Raises InvalidAccount."""
        return replace(self, proxy=SecretStr(_proxy(proxy)) if proxy else None)

    def cookies(self) -> list[tuple[str, str]]:
        """Names and values, for the browser and for the `Cookie` header.

        `sid_guard` is left out: only the site knows its dates, and `sessionid` alone
        is what logs in.
        """
        secret = self.sessionid.get_secret_value()
        china = [("store-region", "cn-gd"), ("store-region-src", "uid")]
        return [
            ("_tea_web_id", self.web_id),
            ("is_staff_user", "false"),
            *(china if self.region == "cn" else []),
            ("uid_tt", self.user_id),
            ("uid_tt_ss", self.user_id),
            ("sid_tt", secret),
            ("sessionid", secret),
            ("sessionid_ss", secret),
        ]

    def cookie_header(self) -> str:
        """The cookies as one header value."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies())

    def secrets(self) -> tuple[str, ...]:
        """The strings that must not appear in a log, an answer or an event."""
        proxy = (self.proxy.get_secret_value(),) if self.proxy else ()
        return (self.sessionid.get_secret_value(), *proxy)


def _region(token: str) -> tuple[Region, str]:
    if match := _PREFIX.match(token):
        name = match[1].lower()
        return next(r for r in get_args(Region) if r == name), token[match.end() :]
    return "cn", token


def _session_id(text: str) -> str:
    if "://" in text:
        raise InvalidAccount("a proxy is followed by @ and the session id")
    if not _SESSION_ID.fullmatch(text):
        raise InvalidAccount(
            "a session id is the value of the cookie `sessionid` alone"
        )
    return text


def _proxy(text: str) -> str:
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        plain = False
    if not plain or parts.scheme not in PROXY_SCHEMES or not parts.hostname:
        names = ", ".join(PROXY_SCHEMES)
        raise InvalidAccount(f"a proxy is scheme://[user:password@]host:port ({names})")
    return text
