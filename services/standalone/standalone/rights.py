"""Who may say and hear what on NATS: each service the least it needs.

The subjects follow from the messages: a service publishes its own facts, log lines and
dead letters, asks the scheduler, and pulls from the durables of the commands it takes.
"""

from contracts.keys import KeyEntry
from contracts.streams import (
    COMMANDS,
    FACTS_DURABLE,
    NEEDED_TO_LIVE,
    NEEDED_TO_TAKE,
    PUBLIC_WAKES,
)

WORKERS = ("uploader", "signer", "poller", "downloader", "notifier", "log-streamer")
SERVICES = ("scheduler", *WORKERS, "gateway-http")
USERS = ("admin", *SERVICES, "viewer", "dlq", "keys")

_LOOK = [
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.DIRECT.GET.>",
    "$JS.API.CONSUMER.LIST.*",
    "$JS.API.CONSUMER.NAMES.*",
    "$JS.API.CONSUMER.INFO.>",
    "$JS.FC.>",
]


# Credentials go to those who speak to the site, and to nobody else.
_ASKS = {
    "uploader": ("credential",),
    "signer": ("credential", "permit"),
    "poller": ("credential", "due"),
    "downloader": ("credential", "orphans"),
    "notifier": ("delivery",),
    "scheduler": ("add_session",),
    "gateway-http": (
        "read_task",
        "list_tasks",
        "cancel_task",
        "retry_task",
        "resolve_task",
        "delete_task",
        "stats",
        "list_sessions",
        "read_session",
        "add_session",
        "remove_session",
        "enable_session",
        "test_session",
        "replace_credential",
        "set_proxy",
        "set_session",
        "drain_session",
        "list_keys",
        "read_key",
        "create_key",
        "set_key",
        "rotate_key",
        "delete_key",
        "usage",
        *(f"{verb}_endpoint" for verb in ("add", "read", "set", "rotate", "test")),
        "remove_endpoint",
        "list_endpoints",
        "list_deeds",
        "list_deliveries",
        "read_delivery",
        "replay_delivery",
    ),
}


Rights = dict[str, dict[str, list[str]]]


def rights(user: str) -> Rights | None:
    """Return what a user may publish and subscribe to; None: everything."""
    if user == "admin":
        return None
    if user == "viewer":
        return _viewer()
    if user == "dlq":
        return _undertaker()
    if user == "keys":
        return _first_key()
    return {
        "publish": {"allow": [*_common(user), *_own(user)]},
        "subscribe": {"allow": [f"_INBOX_{user}.>", *_hears(user)]},
    }


def _common(service: str) -> list[str]:
    return [
        "$JS.API.INFO",
        f"log.{service}.>",
        f"dlq.{service}.>",
        f"$KV.workers.{service}.>",
        *(f"req.scheduler.{verb}" for verb in _ASKS.get(service, ())),
        *(f"$JS.API.STREAM.INFO.{stream}" for stream in sorted(_needs(service))),
        *(subject for durable in durables(service) for subject in _pulls(*durable)),
        # What it remembers of its commands between their deliveries.
        f"$KV.marks.{service}.>",
        f"$JS.API.DIRECT.GET.KV_marks.$KV.marks.{service}.>",
    ]


def _needs(service: str) -> frozenset[str]:
    """Return the streams a service looks at when it starts."""
    return NEEDED_TO_LIVE | (NEEDED_TO_TAKE if durables(service) else frozenset())


def durables(service: str) -> list[tuple[str, str]]:
    """Return the (stream, durable) pairs a service pulls from."""
    taken = [("CMD", c.durable()) for c in COMMANDS if c.service() == service]
    return [*taken, ("EVT", FACTS_DURABLE)] if service == "scheduler" else taken


def _pulls(stream: str, durable: str) -> list[str]:
    return [
        f"$JS.API.CONSUMER.INFO.{stream}.{durable}",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
        f"$JS.ACK.{stream}.{durable}.>",
        f"$JS.ACK.*.*.{stream}.{durable}.>",
    ]


def _own(service: str) -> list[str]:
    if service == "scheduler":
        replies = [f"_INBOX_{asker}.>" for asker in (*SERVICES, "keys")]
        bucket = ["$KV.keys.*", "$JS.API.STREAM.INFO.KV_keys"]
        bucket += ["quota.*.credits.*", "$JS.API.DIRECT.GET.QUOTA.quota.>"]
        beats = _reads("KV_workers")
        return ["cmd.>", "evt.*.*.scheduler.*", *bucket, *beats, *replies]
    facts = [f"evt.task.*.{service}.*", f"evt.session.*.{service}.*"]
    if service == "log-streamer":
        bucket = ["$KV.follow.>", *_reads("KV_follow")]
        return [*facts, "log.>", *bucket]
    if service == "notifier":
        return [*facts, "evt.sys.*.notifier.*"]
    if service == "gateway-http":
        deeds = "evt.sys.*.gateway-http.*"
        keys = ["$JS.API.STREAM.INFO.KV_keys", "$JS.API.DIRECT.GET.KV_keys.$KV.keys.*"]
        claims = ["$KV.idem.*", *_reads("KV_idem")]
        signin = ["$KV.signin.*.*", *_reads("KV_signin")]
        beats = _reads("KV_workers")
        counters = [
            f"$JS.API.{verb}"
            for stream, subject in (("RATE", "rate.>"), ("QUOTA", "quota.>"))
            for verb in (f"STREAM.INFO.{stream}", f"DIRECT.GET.{stream}.{subject}")
        ]
        counts = ["rate.*.*", "quota.*.*.*", *counters]
        gets = ("STREAM.INFO.EVT", "STREAM.MSG.GET.EVT", "DIRECT.GET.EVT")
        log = [f"$JS.API.{verb}" for verb in gets]
        own = ["cmd.scheduler.create.*", deeds, *keys, *claims, *signin, *counts, *log]
        return [*own, *_reads("CMD"), *beats]
    return facts


def _reads(stream: str) -> list[str]:
    return [
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
    ]


def _hears(service: str) -> list[str]:
    match service:
        case "scheduler":
            return ["req.scheduler.>"]
        case "gateway-http":
            tests = "evt.sys.*.notifier.*"
            checks, keys = "evt.session.*.scheduler.checked", KeyEntry.pattern()
            return [PUBLIC_WAKES, checks, tests, keys, "log.>"]
    return []


def _viewer() -> Rights:
    """Return the rights to look: consumers of its own, and none of a service's."""
    replays = [
        f"$JS.API.CONSUMER.{verb}.{stream}{rest}"
        # A consumer on the work queue would take commands away.
        for stream in ("EVT", "LOG", "DLQ")
        for verb, rest in (("CREATE", ""), ("CREATE", ".>"), ("MSG.NEXT", ".>"))
    ]
    ours = [
        f"$JS.API.CONSUMER.{verb}.EVT.{FACTS_DURABLE}{rest}"
        for verb in ("CREATE", "MSG.NEXT", "DELETE")
        for rest in ("", ".>")
    ]
    return {
        "publish": {"allow": [*_LOOK, *replays], "deny": ours},
        "subscribe": {"allow": ["_INBOX.>", "evt.>", "log.>", "dlq.>"]},
    }


def _first_key() -> Rights:
    """Return the rights of `jimeng keys create --admin`: to make a key, no more."""
    return {
        "publish": {"allow": ["req.scheduler.create_key"]},
        "subscribe": {"allow": ["_INBOX_keys.>"]},
    }


def _undertaker() -> Rights:
    """Return the rights of `jimeng dlq`: to read and delete there, and to put back."""
    letters = [
        f"$JS.API.{verb}"
        for verb in ("DIRECT.GET.DLQ", "DIRECT.GET.DLQ.>", "STREAM.MSG.DELETE.DLQ")
    ]
    return {
        "publish": {"allow": [*letters, "cmd.>", "evt.task.>", "evt.session.>"]},
        "subscribe": {"allow": ["_INBOX_dlq.>"]},
    }
