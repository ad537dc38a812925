"""Write the AsyncAPI 3 document of all messages, from the classes themselves."""

import re
import sys
from inspect import cleandoc
from typing import Any

import yaml
from pydantic import BaseModel

from contracts.message import Command, Event, Message, words
from contracts.requests import Request
from contracts.schemas import messages, replies, shapes

SCHEMAS = "#/components/schemas/{model}"
INTRODUCTION = """
Every message of the gateway. Commands wait in the stream CMD until they are done,
events stay in EVT, log lines in LOG; requests are answered and not kept.
"""


def document() -> dict[str, Any]:
    """Return the whole document."""
    told = messages()
    bodies: list[type[BaseModel]] = [*told, *replies()]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "jimeng-gateway",
            "version": "1.0.0",
            "description": " ".join(INTRODUCTION.split()),
        },
        "defaultContentType": "application/json",
        "channels": {m.__name__: channel(m) for m in told}
        | {r.__name__: answers(r) for r in replies()},
        "operations": {f"send{m.__name__}": operation(m) for m in told},
        "components": {
            "messages": {body.__name__: message(body) for body in bodies},
            "schemas": shapes(SCHEMAS),
        },
    }


def channel(kind: type[Message]) -> dict[str, Any]:
    """Return the subject of a message as a channel."""
    names = re.findall(r"{(\w+)}", kind.SUBJECT)
    told: dict[str, Any] = {
        "address": kind.SUBJECT,
        "title": words(kind.__name__),
        "description": f"{sort(kind)}. {cleandoc(kind.__doc__ or '')}",
        "messages": {kind.__name__: ref("messages", kind)},
    }
    if names:
        told["parameters"] = {n: {"description": f"the {n}"} for n in names}
    return told


def sort(kind: type[Message]) -> str:
    """Return what sort of message this is, and where it is kept."""
    if issubclass(kind, Command):
        return f"Command in CMD, taken by {kind.service()}"
    if issubclass(kind, Event):
        kept = f" for {kind.TTL_SECONDS} s" if kind.TTL_SECONDS else ""
        return f"Event in EVT{kept}"
    return "Request, answered and not kept" if issubclass(kind, Request) else "In LOG"


def answers(reply: type[BaseModel]) -> dict[str, Any]:
    """Return the channel of a reply: an inbox, known only when it is asked for."""
    return {"address": None, "messages": {reply.__name__: ref("messages", reply)}}


def operation(kind: type[Message]) -> dict[str, Any]:
    """Return that somebody sends this message, and gets an answer to it."""
    told: dict[str, Any] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{kind.__name__}"},
    }
    if issubclass(kind, Request):
        told["reply"] = {"channel": {"$ref": f"#/channels/{kind.REPLY.__name__}"}}
    return told


def message(kind: type[BaseModel]) -> dict[str, Any]:
    """Return a message or a reply."""
    return {
        "name": kind.__name__,
        "title": words(kind.__name__),
        "summary": cleandoc(kind.__doc__ or "").splitlines()[0],
        "payload": ref("schemas", kind),
    }


def ref(where: str, kind: type[BaseModel]) -> dict[str, str]:
    """Return a reference to one of the components."""
    return {"$ref": f"#/components/{where}/{kind.__name__}"}


if __name__ == "__main__":
    sys.stdout.write("# Made by `make asyncapi` from libs/contracts.\n")
    yaml.safe_dump(document(), sys.stdout, sort_keys=False, allow_unicode=True)
