"""The results of a finished task: every form in which the site hands out a link."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from jimeng.answers import at, first_word, number, sequence, whole, word

Take = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Link:
    """One link to one rendition. What the site did not say is None.

    Links are signed and expire, some within the hour: fetch the bytes soon.
    """

    url: str
    width: int | None = None
    height: int | None = None
    size: int | None = None
    duration_ms: int | None = None
    format: str = ""
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One result, its links best first. `id` is what a better link is asked with."""

    id: str
    links: tuple[Link, ...]
    cover_url: str | None = None


def read_item(raw: Any, take: Take = str) -> Item:
    """An item as history, asset lists and `get_local_item_list` give it.

    `take` says with which scheme a link is fetched. An item that is not ready yet
    has no links.
    """
    length = _length(raw)
    links = dict.fromkeys(_links(raw))
    return Item(
        id=first_word(
            (
                at(raw, "item_id"),
                at(raw, "id"),
                at(raw, "local_item_id"),
                at(raw, "common_attr", "id"),
                at(raw, "common_attr", "local_item_id"),
            )
        ),
        links=tuple(
            replace(link, url=take(link.url), duration_ms=length)
            for link in sorted(links, key=_worse)
        ),
        cover_url=_cover(raw, take),
    )


def _worse(link: Link) -> tuple[bool, int, int]:
    """Widest first, then biggest; those of unknown size last, in the order found."""
    area = (link.width or 0) * (link.height or 0)
    return (area == 0, -area, -(link.size or 0))


def _links(raw: Any) -> Iterator[Link]:
    video = at(raw, "video")
    for holder in (at(raw, "common_attr"), video):
        yield from _transcoded(at(holder, "transcoded_video"))
    yield from _transcoded({"origin": at(video, "origin_video")})
    yield from _modelled(at(video, "video_model"))
    plain = [at(video, name) for name in ("play_url", "download_url", "url")]
    yield from _plain(plain)
    for image in sequence(at(raw, "image", "large_images")):
        yield from _rendition(image, "image_url")
    yield from _plain(sequence(at(raw, "common_attr", "item_urls")))


def _transcoded(renditions: Any) -> Iterator[Link]:
    """Renditions by their definition: `origin`, or `1080p`, `720p` and so on."""
    for definition, each in (at(renditions) or {}).items():
        for link in _rendition(each, "video_url"):
            yield replace(link, definition=link.definition or definition)


def _rendition(each: Any, name: str) -> Iterator[Link]:
    if url := _url(at(each, name)):
        yield _link(url, each, "width", "height", "format")


def _modelled(model: Any) -> Iterator[Link]:
    """`video_model` is JSON in a string, its links base64; they carry no watermark."""
    for each in (at(_parsed(model), "video_list") or {}).values():
        for name in ("main_url", "backup_url_1"):
            if url := _decoded(at(each, name)):
                yield _link(url, each, "vwidth", "vheight", "vtype")


def _link(url: str, each: Any, width: str, height: str, kind: str) -> Link:
    """Read what stands beside a link; the places differ in some names."""
    return Link(
        url=url,
        width=whole(at(each, width)) or None,
        height=whole(at(each, height)) or None,
        size=whole(at(each, "size")) or None,
        format=word(at(each, kind)),
        definition=word(at(each, "definition")),
    )


def _plain(values: list[Any]) -> Iterator[Link]:
    yield from (Link(url=url) for url in map(_url, values) if url)


def _url(value: Any) -> str:
    text = word(value)
    return text if text.startswith(("https://", "http://", "//")) else ""


def _decoded(value: Any) -> str:
    text = word(value)
    try:
        return _url(text) or _url(b64decode(text, validate=True).decode())
    except ValueError:
        return ""


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _length(raw: Any) -> int | None:
    """Milliseconds. `video.duration` is rounded up to seconds, so it comes last."""
    video = at(raw, "video")
    seconds = [
        number(at(_parsed(at(video, "duration_info")), "play_info_duration")),
        number(at(_parsed(at(video, "video_model")), "video_duration")),
        number(at(video, "duration")),
    ]
    known = (round(each * 1000) for each in seconds if each and each > 0)
    return whole(at(video, "duration_ms")) or next(known, None)


def _cover(raw: Any, take: Take) -> str | None:
    common = at(raw, "common_attr")
    sizes = at(at(common, "cover_url_map")) or {}
    largest = sorted(sizes, key=lambda name: -(whole(name) or 0))
    url = first_word(
        (
            _url(at(common, "cover_url")),
            _url(at(raw, "video", "cover_url")),
            *(_url(sizes[name]) for name in largest),
        )
    )
    return take(url) if url else None
