"""Reads untrusted JSON: each reader returns the asked type or refuses with ret 1000."""

import json
import re
import uuid
from typing import Any

from simulator.errors import RefusedError, invalid
from simulator.records import Json


def text(node: Json, key: str) -> str:
    """A string."""
    value = node.get(key)
    if not isinstance(value, str):
        raise invalid(f"{key} is not a string")
    return value


def filled(node: Json, key: str) -> str:
    """A string that is not empty."""
    if not (value := text(node, key)):
        raise invalid(f"{key} is empty")
    return value


def integer(node: Json, key: str) -> int:
    """A whole number; true and false are not numbers."""
    value = node.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"{key} is not an integer")
    return value


def mapping(node: Json, key: str) -> Json:
    """An object."""
    value = node.get(key)
    if not isinstance(value, dict):
        raise invalid(f"{key} is not an object")
    return value


def objects(node: Json, key: str) -> list[Json]:
    """A list of objects; absent counts as empty."""
    value = node.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise invalid(f"{key} is not a list of objects")
    return value


def one(node: Json, key: str) -> Json:
    """The object of a list that must hold exactly one."""
    found = objects(node, key)
    if len(found) != 1:
        raise invalid(f"{key} must hold exactly one, not {len(found)}")
    return found[0]


def identified(node: Json, name: str) -> Json:
    """An object of the draft: it has a `type` and an id that is a uuid."""
    if not isinstance(node.get("type"), str):
        raise invalid(f"{name} has no type")
    check_uuid(node, "id")
    return node


def check_uuid(node: Json, key: str) -> str:
    """A uuid in text form."""
    value = text(node, key)
    try:
        uuid.UUID(value)
    except ValueError:
        raise invalid(f"{key} is not a uuid") from None
    return value


def embedded(node: Json, key: str) -> Json:
    """JSON inside a string. An object in its place is ret 1002, as on the site."""
    value = node.get(key)
    if not isinstance(value, str):
        raise RefusedError("1002")
    try:
        found: Any = json.loads(value)
    except ValueError:
        raise RefusedError("1002") from None
    if not isinstance(found, dict):
        raise RefusedError("1002")
    return found


def version(node: Json, key: str) -> tuple[int, ...]:
    """A dotted version as numbers."""
    value = text(node, key)
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise invalid(f"{key} is not a version")
    return tuple(int(part) for part in value.split("."))
