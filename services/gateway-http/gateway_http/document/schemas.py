"""Schemas as JSON Schema has them, where pydantic leaves its own words in."""

from typing import Any

_WORDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}


def in_json(schemas: Any) -> Any:
    """Put limits beside a validator of ours, wherever they are, in the right words."""
    if isinstance(schemas, dict):
        return {_WORDS.get(name, name): in_json(each) for name, each in schemas.items()}
    if isinstance(schemas, list):
        return [in_json(each) for each in schemas]
    return schemas
