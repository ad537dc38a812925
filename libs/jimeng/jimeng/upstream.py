"""Where the site lives: its hosts per region, and what every request carries.

An origin (`http://127.0.0.1:9000`) may stand for the whole site: pages, mweb,
commerce, passport, ImageX and VOD go there, and the hosts and links the site
names in its answers are reached with the origin's scheme.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from jimeng.account import Account, Region
from jimeng.signing import APP_VERSION, DEVICE_ID, PLATFORM, sign

PageKind = Literal["video", "image"]

WEB_VERSION = "7.5.0"
DRAFT_VERSION = "3.3.9"  # `da_version` of the captured page
PAGE_PATH = "/ai-tool/generate?type="
_CHROME = "142"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    f"(KHTML, like Gecko) Chrome/{_CHROME}.0.0.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What one region calls things."""

    site: str
    mweb: str
    commerce: str
    imagex: str
    aws_region: str
    aid: int
    name: str
    language: str
    location: str
    accept_language: str


_CN = "https://jimeng.jianying.com"
_SITE = "https://dreamina.capcut.com"
_ASIA_MWEB = "https://mweb-api-sg.capcut.com"
_ASIA_COMMERCE = "https://commerce-api-sg.capcut.com"
_ASIA_IMAGEX = "https://imagex-normal-sg.capcutapi.com"
_VOD = "https://vod.bytedanceapi.com"  # for international accounts too
_ENGLISH = "en-US,en;q=0.9"


def _asia(name: str, language: str, accept: str) -> Place:
    return Place(
        site=_SITE,
        mweb=_ASIA_MWEB,
        commerce=_ASIA_COMMERCE,
        imagex=_ASIA_IMAGEX,
        aws_region="ap-southeast-1",
        aid=513641,
        name=name,
        language=language,
        location=name.lower(),
        accept_language=accept,
    )


PLACES: dict[Region, Place] = {
    "cn": Place(
        site=_CN,
        mweb=_CN,
        commerce=_CN,
        imagex="https://imagex.bytedanceapi.com",
        aws_region="cn-north-1",
        aid=513695,
        name="cn",
        language="zh-Hans",
        location="cn",
        accept_language="zh-CN,zh;q=0.9",
    ),
    "us": Place(
        site=_SITE,
        mweb="https://dreamina-api.us.capcut.com",
        commerce="https://commerce.us.capcut.com",
        imagex="https://imagex16-normal-us-ttp.capcutapi.us",
        aws_region="us-east-1",
        aid=513641,
        name="US",
        language="en",
        location="us",
        accept_language=_ENGLISH,
    ),
    "hk": _asia("HK", "en", _ENGLISH),
    "jp": _asia("JP", "ja", "ja,en;q=0.9"),
    "sg": _asia("SG", "en", _ENGLISH),
}


def neighbours(region: Region) -> tuple[Region, ...]:
    """The regions whose accounts live on the same hosts as this one's, itself too."""
    hosts = PLACES[region].mweb
    return tuple(name for name, place in PLACES.items() if place.mweb == hosts)


class Upstream:
    """The hosts of the site, or the one origin that stands for them."""

    def __init__(self, origin: str | None = None) -> None:
        self.origin = _origin(origin) if origin else None

    def __repr__(self) -> str:
        return f"Upstream({self.origin!r})"

    def site_origin(self, region: Region) -> str:
        """The origin of the site's pages, as `Origin` and `Referer` name it."""
        return self.origin or PLACES[region].site

    def page_url(self, region: Region, kind: PageKind = "video") -> str:
        """The generate page, where a browser submits."""
        return f"{self.site_origin(region)}{PAGE_PATH}{kind}"

    def api(self, region: Region, path: str) -> str:
        """The URL of an API path: commerce has a host of its own outside China."""
        place = PLACES[region]
        host = place.commerce if path.startswith("/commerce/") else place.mweb
        return f"{self.origin or host}{path}"

    def imagex(self, region: Region) -> str:
        """The origin of the image upload service."""
        return self.origin or PLACES[region].imagex

    def vod(self) -> str:
        """The origin of the video and audio upload service."""
        return self.origin or _VOD

    def at_host(self, host: str) -> str:
        """The origin of an upload host that the site has named."""
        return f"{self._scheme()}://{host}"

    def link(self, url: str) -> str:
        """A link from an answer, with the scheme it is to be fetched with."""
        if url.startswith("//"):
            return f"{self._scheme()}:{url}"
        if self.origin is None:
            return url
        return urlunsplit((self._scheme(), *urlsplit(url)[1:]))

    def _scheme(self) -> str:
        return urlsplit(self.origin).scheme if self.origin else "https"


def _origin(text: str) -> str:
    parts = urlsplit(text.strip().rstrip("/"))
    plain = not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("an upstream is an origin such as http://127.0.0.1:9000")
    return f"{parts.scheme}://{parts.netloc}"


def common_query(account: Account, version: str = DRAFT_VERSION) -> dict[str, str]:
    """The query of an mweb read, in the page's order; no `webId` outside China."""
    place = PLACES[account.region]
    web_id = {"webId": account.web_id} if account.region == "cn" else {}
    return {
        "aid": str(place.aid),
        "device_platform": "web",
        "region": place.name,
        **web_id,
        "da_version": version,
        "web_version": WEB_VERSION,
        "aigc_features": "app_lip_sync",
    }


def generate_query(account: Account, version: str) -> dict[str, str]:
    """The query of a submit: that of a read, with what only the video page adds."""
    added = {
        "os": "windows",
        "web_component_open_flag": "1",
        "commerce_with_input_video": "1",
    }
    query: dict[str, str] = {}
    for name, value in common_query(account, version).items():
        query |= (added if name == "web_version" else {}) | {name: value}
    return query


def common_headers(
    account: Account, upstream: Upstream, path: str, *, referer: str, device_time: int
) -> dict[str, str]:
    """The headers of an mweb, commerce or passport call, signature and cookies too."""
    place = PLACES[account.region]
    site = upstream.site_origin(account.region)
    return browser_headers(site, referer, place.accept_language) | {
        "Content-Type": "application/json",
        "App-Sdk-Version": "48.0.0",
        "Appid": str(place.aid),
        "Appvr": APP_VERSION,
        "Pf": PLATFORM,
        "Lan": place.language,
        "Loc": place.location,
        "Device-Time": str(device_time),
        "Sign": sign(path, device_time),
        "Sign-Ver": "1",
        "Tdid": DEVICE_ID,
        "Cookie": account.cookie_header(),
    }


def browser_headers(
    site: str, referer: str, accept_language: str, fetch_site: str = "same-origin"
) -> dict[str, str]:
    """What any request of the page carries; `referer` is a path of the site."""
    return {
        "Accept": "application/json, text/plain, */*",
        "Accept-Language": accept_language,
        "Origin": site,
        "Referer": f"{site}{referer}",
        "User-Agent": USER_AGENT,
        "sec-ch-ua": f'"Chromium";v="{_CHROME}", "Google Chrome";v="{_CHROME}"',
        "sec-ch-ua-mobile": "?0",
        "sec-ch-ua-platform": '"Windows"',
        "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": fetch_site,
    }
