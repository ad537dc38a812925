"""Log lines: JSON on stdout (pretty on a terminal), and the same into the LOG stream.

A line knows its service, task and session without being told: they are taken from the
context that `service_scope` and `about` set.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

import structlog

Line = MutableMapping[str, Any]
Sink = Callable[[Line], None]

SERVICE: ContextVar[str] = ContextVar("service", default="-")
ABOUT: ContextVar[tuple[str, str]] = ContextVar("about", default=("-", "-"))
_SINKS: dict[str, Sink] = {}
_HIDDEN = "***"
# Credentials by where they stand: cookie and header forms, keys in JSON or queries.
_NAMES = (
    r"sessionid(?:_ss)?|sid_tt|sid_guard|uid_tt(?:_ss)?|password|secret|token"
    r"|authorization|api_key|msToken|a_bogus"
)
_STANDS = r"\\*[\"']?\s*[=:]\s*\\*[\"']?"
_SECRET = re.compile(
    rf"((?:{_NAMES}){_STANDS}(?:bearer\s+)?)[^\s\"',;&}}]+", re.IGNORECASE
)
_BEARER = re.compile(r"(\bbearer\s+)[^\s\"',;]+", re.IGNORECASE)
_COOKIE = re.compile(rf"(cookie{_STANDS})[^\"'\r\n]+", re.IGNORECASE)
_KEY = re.compile(r"\b(gw_[0-9a-f]{8})[0-9a-f]{24,}")
_LOGIN = re.compile(r"(\w[\w+.-]*://)[^/\s\"']+@")
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|cookie|credential)s?", re.IGNORECASE)
_QUIET = {"httpx", "httpcore", "aiosqlite", "alembic", "PIL", "asyncio"}


@contextmanager
def service_scope(service: str) -> Iterator[None]:
    """Say which service the lines of this context belong to."""
    held = SERVICE.set(service)
    try:
        yield
    finally:
        SERVICE.reset(held)


@contextmanager
def about(subject: str, body: bytes = b"") -> Iterator[None]:
    """Say which task and session the lines of this context are about, by message."""
    held = ABOUT.set(_names(subject, body))
    try:
        yield
    finally:
        ABOUT.reset(held)


def _names(subject: str, body: bytes) -> tuple[str, str]:
    match subject.split("."):
        case ["evt", "task", task, *_]:
            return task, _told(body, "session")
        case ["evt", "session", session, *_] | ["cmd", "poller", _, session]:
            return "-", session
        case ["cmd", "scheduler", _, task]:
            return task, "-"
        case ["cmd", "notifier", *_]:
            return _told(body, "task"), "-"
        case ["cmd", _, _, key]:
            return key.rpartition("-")[0], _told(body, "session")
    return "-", "-"


def _told(body: bytes, name: str) -> str:
    try:
        return str(json.loads(body).get(name, "-"))
    except (ValueError, AttributeError):
        return "-"


def on_line(service: str, sink: Sink | None) -> None:
    """Hand every line of a service to a sink as well, or no longer."""
    if sink is None:
        _SINKS.pop(service, None)
    else:
        _SINKS[service] = sink


def configure(level: str, fmt: str, stream: TextIO | None = None) -> None:
    """Set up logging for this process, once; to stdout unless told otherwise."""
    stream = stream or sys.stdout
    pretty = fmt == "pretty" or (not fmt and stream.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _place,
        scrub,
        _hand_on,
    ]
    render: Any = (
        structlog.dev.ConsoleRenderer(event_key="text", timestamp_key="time")
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    _set_levels(root, level)


def _set_levels(root: logging.Logger, level: str) -> None:
    """Read `info`, or `poller=debug,info`."""
    for part in level.split(","):
        name, _, value = part.strip().rpartition("=")
        logging.getLogger(name or None).setLevel(value.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _place(_: Any, __: str, line: Line) -> Line:
    task, session = ABOUT.get()
    line.setdefault("task", task)
    line.setdefault("session", session)
    line["service"] = SERVICE.get()
    line["text"] = line.pop("event", "")
    return line


def scrub(_: Any, __: str, line: Line) -> Line:
    """Hide whatever stands where a credential stands, in every field, however deep."""
    for name, value in line.items():
        if not name.startswith("_"):  # structlog's own, taken out later
            line[name] = _scrubbed(name, value)
    return line


def _scrubbed(name: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(k): _scrubbed(str(k), v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrubbed(name, each) for each in value]
    if _SECRET_NAME.fullmatch(name):
        return _HIDDEN
    return scrub_text(str(value))


def hide(value: Any) -> Any:
    """Hide whatever stands where a credential stands, in a text or what JSON holds."""
    return _scrubbed("", value)


def scrub_text(text: str) -> str:
    """Hide credentials in a text."""
    if "gw_" in text:
        text = _KEY.sub(rf"\1{_HIDDEN}", text)
    if "bearer" in text.lower():
        text = _BEARER.sub(rf"\1{_HIDDEN}", text)
    if "=" not in text and ":" not in text:  # the others all need one
        return text
    for place in (_COOKIE, _SECRET):
        text = place.sub(rf"\1{_HIDDEN}", text)
    return _LOGIN.sub(rf"\1{_HIDDEN}@", text)


def _hand_on(_: Any, __: str, line: Line) -> Line:
    if sink := _SINKS.get(str(line["service"])):
        sink({name: value for name, value in line.items() if name[0] != "_"})
    return line
