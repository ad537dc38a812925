"""What the site's answers mean: values in, values out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args

import jimeng
from contracts.errors import ErrorCode
from contracts.sessions import CheckOutcome, Credits, SessionChecked
from contracts.tasks import Absent, Generated, GenerationFailed, Progressed
from contracts.values import Item, Progress
from contracts.workers import Credential, DueAttempt

Fact = Absent | Progressed | Generated | GenerationFailed

SAY_ANYWAY = timedelta(seconds=30)
SMALLEST_MOVE = 0.01  # of the whole queue
LONGEST_PAUSE_SECONDS = 300.0
SPREAD = 0.1  # sessions woken together have drifted apart after ten rounds

# `node.status` and `queue_status` of a task that is being made (protocol 7.2, 7.3).
_GENERATING_STATUS = {42, 45}
_QUEUE_LEFT = {2, 3}
_WRONG_REGION = "3000"
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the site is asked when it advises nothing, and at most."""

    interval_seconds: float
    min_seconds: float


def reading(due: DueAttempt, node: jimeng.Node | None, now: datetime) -> Fact | None:
    """Return what to tell of an attempt; None: nothing worth telling has changed."""
    about = {"task": due.task, "attempt": due.attempt, "n": due.round}
    if node is None:
        return Absent.model_validate(about)
    about |= {"upstream_id": node.history_id or None}
    match node.outcome:
        case jimeng.Finished(items):
            return Generated.model_validate(about | {"items": tuple(map(_item, items))})
        case jimeng.Rejected() as rejected:
            return GenerationFailed.model_validate(
                about | _failure(rejected) | {"answer": node.answer or None}
            )
        case jimeng.Running(progress):
            here = standing(progress)
            if not worth_saying(here, due, now):
                return None
            return Progressed.model_validate(about | here.model_dump())


def standing(progress: jimeng.Progress) -> Progress:
    """Say where a running task stands; a place is only told while it queues."""
    if progress.status in _GENERATING_STATUS or progress.queue_status in _QUEUE_LEFT:
        return Progress(stage="generating")
    return Progress(
        stage="upstream_queue",
        queue_position=progress.queue_position,
        queue_total=progress.queue_total,
        queue_eta_seconds=progress.queue_eta_seconds,
    )


def worth_saying(here: Progress, due: DueAttempt, now: datetime) -> bool:
    """Whether the stage changed, the place moved by 1 %, or 30 s passed."""
    last, said_at = due.last, due.last_said_at
    if last is None or said_at is None or now - said_at >= SAY_ANYWAY:
        return True
    if here.stage != last.stage:
        return True
    if here.queue_position is None or last.queue_position is None:
        return here.queue_position != last.queue_position
    step = max(1.0, (here.queue_total or 0) * SMALLEST_MOVE)
    return abs(here.queue_position - last.queue_position) >= step


def with_best(generated: Generated, best: Mapping[str, str | None]) -> Generated:
    """Put the better links first, where the site gave any."""
    items = tuple(_preferring(i, best.get(i.id)) for i in generated.items)
    return generated.model_copy(update={"items": items})


def _preferring(item: Item, url: str | None) -> Item:
    if url is None:
        return item
    urls = tuple(dict.fromkeys((url, *item.urls)))
    # Another rendition than the one whose size was told.
    size = item.size if urls == item.urls else None
    return item.model_copy(update={"urls": urls, "size": size})


def _item(item: jimeng.Item) -> Item:
    first = item.links[0]
    return Item(
        id=item.id,
        urls=tuple(dict.fromkeys(link.url for link in item.links)),
        width=first.width,
        height=first.height,
        duration_ms=first.duration_ms,
        size=first.size,
    )


def _failure(rejected: jimeng.Rejected) -> dict[str, str | ErrorCode | None]:
    """Name the code; where it has no meaning of its own, what the status means."""
    checked = rejected.effect.kind is jimeng.ErrorKind.CONTENT_RISK
    return {
        "code": ErrorCode.CONTENT_REFUSED if checked else None,
        "upstream_code": rejected.code or None,
        "detail": rejected.text,
    }


def advice(nodes: Iterable[jimeng.Node]) -> float | None:
    """Return the shortest interval the site advises for what still runs."""
    running = (n.outcome for n in nodes if isinstance(n.outcome, jimeng.Running))
    return min((o.progress.interval_seconds or 0 for o in running), default=0) or None


def pause(
    session: str, advised: float | None, planned: float | None, pace: Pace
) -> float:
    """Return in how many seconds to ask again after a good answer."""
    wanted = advised or planned or pace.interval_seconds
    return spread(session, max(wanted, pace.min_seconds))


def pause_after_trouble(session: str, failures: int, pace: Pace) -> float:
    """Return in how many seconds to ask again after so many polls went wrong."""
    first = max(pace.interval_seconds, pace.min_seconds)
    return spread(session, min(first * 2.0 ** min(failures - 1, 16), longest(first)))


def longest(first: float) -> float:
    """Return the longest pause; it never falls below the usual one."""
    return max(LONGEST_PAUSE_SECONDS, first)


def spread(session: str, seconds: float) -> float:
    """Stretch a pause by up to a tenth, for each session by its own share."""
    share = sha256(session.encode()).digest()[0] / 255
    return seconds * (1 + SPREAD * share)


def signal(error: Exception) -> Literal["expired", "blocked"] | None:
    """Return what an error certainly says of the account, whatever was asked."""
    if not isinstance(error, jimeng.Refused):
        return None
    match error.effect.session:
        case jimeng.SessionEffect.EXPIRE:
            return "expired"
        case jimeng.SessionEffect.BLOCK:
            return "blocked"
    return None


def checked(
    credential: Credential,
    n: int,
    live: jimeng.Live | None,
    purse: jimeng.Credits | None,
    trouble: Exception | None,
    *,
    home: tuple[jimeng.Region, ...] = (),
) -> SessionChecked:
    """Return what a check has found, from as much of it as was answered.

    `home` are the regions of another host that knows the account.
    """
    return SessionChecked(
        session=credential.session,
        credential=credential.credential,
        n=n,
        outcome="wrong_region" if home else _outcome(live, trouble),
        detail=_detail(live, trouble),
        upstream_uid=live.user_id if live else None,
        credits=Credits(gift=purse.gift, purchase=purse.purchase, vip=purse.vip)
        if purse
        else None,
        remedy=_remedy(home) if home else None,
    )


def foreign(live: jimeng.Live | None, trouble: Exception | None) -> bool:
    """Whether a host would answer so to an account of another region.

    It knows no such login, or answers with a page of 404 (protocol 2.2, 1.1). An
    expired login gets the same: only the other hosts can tell the two apart.
    """
    if live:
        return not live.alive
    if isinstance(trouble, jimeng.BadAnswer):
        return trouble.status == _NOT_FOUND
    return trouble is not None and signal(trouble) == "expired"


def other_homes(region: str) -> list[tuple[jimeng.Region, ...]]:
    """Return where else an account may live: the regions of each other host."""
    homes = dict.fromkeys(map(jimeng.neighbours, get_args(jimeng.Region)))
    return [home for home in homes if region not in home]


def _remedy(home: tuple[jimeng.Region, ...]) -> str:
    """Regions of one host cannot be told apart by what it answers: all are named."""
    forms = ["<sessionid>" if r == "cn" else f"{r}-<sessionid>" for r in home]
    bare = ", without a prefix" if home == ("cn",) else ""
    return (
        f"this account lives in region {_either(home)}: "
        f"add it as {_either(forms)}{bare}"
    )


def _either(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _outcome(live: jimeng.Live | None, trouble: Exception | None) -> CheckOutcome:
    """A login that was confirmed stays good when only its credits cannot be read."""
    if isinstance(trouble, jimeng.InvalidAccount) or (live and not live.alive):
        return "expired"
    if trouble is None:
        return "active"
    if isinstance(trouble, jimeng.Refused) and trouble.code == _WRONG_REGION:
        return "wrong_region"
    return signal(trouble) or ("active" if live else "unreachable")


def _detail(live: jimeng.Live | None, trouble: Exception | None) -> str:
    if trouble is not None:
        return str(trouble) or "no answer in time"
    return live.text if live else ""
