"""A task as the site's history shows it: running, finished or rejected."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from jimeng.answers import at, first_word, kept, node_failure, sequence, whole
from jimeng.errors import (
    Effect,
    ErrorKind,
    SessionEffect,
    TaskEffect,
    effect_of,
)
from jimeng.results import Item, Take, read_item

# The site's own enum, of a node and of its task. Every other number (0 and 20
# submitted, 42 generating, 45 some items ready, and what may come) is still running.
PRE_CHECK_REJECT, FAILED, POST_CHECK_REJECT, SUCCESS, DELETED = 10, 30, 40, 50, 100
_REJECTED = {
    PRE_CHECK_REJECT: "the site's check of the input refused it",
    FAILED: "the generation failed",
    POST_CHECK_REJECT: "the site's check of the output refused it",
    DELETED: "the task was deleted on the site",
}


Scene = dict[str, str | int]


def _crop(width: int, height: int) -> Scene:
    name = f"smart_crop-w:{width}-h:{height}"
    size: Scene = {"width": width, "height": height, "format": "webp"}
    return {"scene": "smart_crop", **size, "uniq_key": name}


def _whole(side: int) -> Scene:
    size: Scene = {"width": side, "height": side, "format": "webp"}
    return {"scene": "normal", **size, "uniq_key": str(side)}


_CROPS = ((360, 360), (480, 480), (720, 720), (720, 480), (360, 240), (240, 320))

IMAGE_INFO = {
    "width": 2048,
    "height": 2048,
    "format": "webp",
    "image_scene_list": [
        *(_crop(width, height) for width, height in (*_CROPS, (480, 640))),
        *map(_whole, (2400, 1080, 720, 480, 360)),
    ],
}
"""What is asked for beside image tasks; it shapes the links of their items."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running task stands. Forecasts are off by a factor of 4 to 12.

    `queue_status` is 1 queuing, 2 generating, 3 finished; `interval_seconds` is how
    long the site wants to be left alone before it is asked again.
    """

    status: int | None = None
    queue_status: int | None = None
    queue_position: int | None = None
    queue_total: int | None = None
    queue_eta_seconds: int | None = None
    generate_seconds: int | None = None
    interval_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Not ended."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Finished:
    """Ended well; every item has at least one link."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Ended badly. `code` may be empty; `effect` is its meaning either way."""

    code: str
    text: str
    effect: Effect


Outcome = Running | Finished | Rejected


@dataclass(frozen=True, slots=True)
class Node:
    """One task of an account. `answer` is the site's whole node once it has ended."""

    submit_id: str
    history_id: str
    outcome: Outcome
    answer: str = ""

    @classmethod
    def read(
        cls, raw: Mapping[str, Any], *, take: Take = str, secrets: Iterable[str] = ()
    ) -> Self:
        """Read a node of history, or the `aigc_data` of a submit: the same shape."""
        outcome = _outcome(raw, take)
        ended = not isinstance(outcome, Running)
        return cls(
            submit_id=first_word((raw.get("submit_id"), at(raw, "task", "submit_id"))),
            history_id=_history_id(raw),
            outcome=outcome,
            answer=kept(json.dumps(raw, ensure_ascii=False), secrets) if ended else "",
        )


def _history_id(raw: Mapping[str, Any]) -> str:
    own = (raw.get("history_record_id"), at(raw, "task", "history_id"))
    return first_word(each for each in own if each not in (0, "0"))


def read_history(
    data: Any,
    submit_ids: Iterable[str],
    *,
    take: Take = str,
    secrets: Iterable[str] = (),
) -> dict[str, Node]:
    """The nodes of those asked for. One that is absent is not there yet, or not known.

    The site keys nodes by the id asked with; older answers list them.
    """
    listed = {
        first_word((at(raw, "submit_id"), at(raw, "task", "submit_id"))): raw
        for name in ("history_list", "history_records")
        for raw in sequence(at(data, name))
    }
    found = listed | (at(data) or {})
    return {
        submit_id: Node.read(found[submit_id], take=take, secrets=secrets)
        for submit_id in submit_ids
        if isinstance(found.get(submit_id), dict)
    }


def _outcome(raw: Mapping[str, Any], take: Take) -> Outcome:
    status = whole(raw.get("status"))
    status = whole(at(raw, "task", "status")) if status is None else status
    if status in _REJECTED:
        return _rejected(raw, status)
    if status == SUCCESS and (ended := _ended(raw, take)):
        return ended
    return Running(_progress(raw, status))


def _ended(raw: Mapping[str, Any], take: Take) -> Finished | Rejected | None:
    """What a task of status 50 is; None while no item of it has a link yet."""
    listed = sequence(raw.get("item_list"))
    items = [item for item in (read_item(each, take) for each in listed) if item.links]
    if items:
        return Finished(tuple(items))
    codes = [whole(at(each, "gen_result_data", "result_code")) for each in listed]
    return _rejected(raw, FAILED) if codes and all(codes) else None


def _rejected(raw: Mapping[str, Any], status: int) -> Rejected:
    code, text = node_failure(raw)
    words = _REJECTED[status]
    checked = status in (PRE_CHECK_REJECT, POST_CHECK_REJECT)
    kind = ErrorKind.CONTENT_RISK if checked else ErrorKind.GENERATION_FAILED
    if code and not checked:
        kind = ErrorKind.UNKNOWN
    # It ended, whatever the code means: an unknown one fails the task and is no
    # reason to buy it again.
    fallback = Effect(kind, TaskEffect.FAIL, SessionEffect.NONE, words)
    return Rejected(code=code, text=text or words, effect=effect_of(code) or fallback)


def _progress(raw: Mapping[str, Any], status: int | None) -> Progress:
    queue = at(raw, "queue_info")
    return Progress(
        status=status,
        queue_status=whole(at(queue, "queue_status")),
        queue_position=whole(at(queue, "queue_idx")),
        queue_total=whole(at(queue, "queue_length")),
        queue_eta_seconds=_forecast(raw, "forecast_queue_cost"),
        generate_seconds=_forecast(raw, "forecast_generate_cost"),
        interval_seconds=whole(at(queue, "polling_config", "interval_seconds")),
    )


def _forecast(raw: Mapping[str, Any], name: str) -> int | None:
    here = whole(raw.get(name))
    return whole(at(raw, "forecast_cost_time", name)) if here is None else here
