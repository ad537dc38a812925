"""Every message there is, and its shape: what the snapshot and the documents show."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts import (
    audit,
    endpoints,
    keys,
    logs,
    pool,
    requests,
    sessions,
    tasks,
    usage,
    webhooks,
    workers,
)
from contracts.message import Message
from contracts.requests import Request

_HOMES = (
    audit,
    endpoints,
    keys,
    logs,
    pool,
    requests,
    sessions,
    tasks,
    usage,
    webhooks,
    workers,
)
HOMES = frozenset(module.__name__ for module in _HOMES)


def messages() -> list[type[Message]]:
    """Return every message class that has a subject, by subject."""
    found = {m for m in _below(Message) if "SUBJECT" in vars(m)}
    return sorted((m for m in found if m.__module__ in HOMES), key=lambda m: m.SUBJECT)


def replies() -> list[type[BaseModel]]:
    """Return what requests are answered with, by name."""
    found = {m.REPLY for m in messages() if issubclass(m, Request)}
    return sorted(found, key=lambda reply: reply.__name__)


def shapes(ref_template: str = "#/schemas/{model}") -> dict[str, Any]:
    """Return the JSON schemas of all messages and replies, by class name."""
    bodies: list[type[BaseModel]] = [*messages(), *replies()]
    _, found = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=ref_template
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def snapshot() -> dict[str, Any]:
    """Return what readers and writers of different versions agree on."""
    return {
        "subjects": {m.__name__: m.SUBJECT for m in messages()},
        "schemas": shapes(),
    }


def _below(kind: type[Message]) -> Iterator[type[Message]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


if __name__ == "__main__":
    json.dump(snapshot(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")
