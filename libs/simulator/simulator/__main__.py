"""`python -m simulator`: the site as a process of its own, on loopback only."""

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from simulator.app import create_app
from simulator.settings import Knobs, Settings

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 1
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _arguments()
    if arguments.die_with_parent:
        _die_with_parent()
    _log_json()
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=1024)
    # Inherited by what is accepted; else each answer waits for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    greeting = f"simulator ready {url}" if arguments.announce else ""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_stopped)
    asyncio.run(_serve(_settings(arguments), listener, greeting))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("simulator", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of its state")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="stretches all waiting"
    )
    parser.add_argument("--instant", action="store_true", help="answers at once")
    parser.add_argument("--die-with-parent", action="store_true", help="Linux only")
    parser.add_argument(
        "--print-url",
        dest="announce",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="one line on stdout when it listens",
    )
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    knobs = Knobs(scale=arguments.scale, instant=arguments.instant)
    return Settings(data=arguments.data, knobs=knobs)


def _already_stopped(_number: int, _frame: Any) -> None:
    """Uvicorn raises the signal again after its clean stop: the exit code stays 0."""


async def _serve(settings: Settings, listener: socket.socket, greeting: str) -> None:
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    await _Server(config, greeting).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it listens, and ends without an error on SIGTERM."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self._greeting and self.started:
            sys.stdout.write(f"{self._greeting}\n")
            sys.stdout.flush()


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends; it may have ended already."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)


class _Json(logging.Formatter):
    """A log record as one line of JSON, whatever was given as `extra` included."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _log_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


if __name__ == "__main__":
    main()
