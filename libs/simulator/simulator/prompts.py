"""Switches inside a prompt: `[[name]]` or `[[name:value]]` steers that one job."""

import re

_SWITCH = re.compile(r"\[\[([a-z_]+)(?::([^\[\]]*))?\]\]")


def switches(text: str) -> dict[str, str]:
    """The switches in a prompt, or in a raw body, which holds the prompt unchanged."""
    return {name: value or "" for name, value in _SWITCH.findall(text)}


def number(found: dict[str, str], name: str, default: float) -> float:
    """The value of a switch as a number; nonsense counts as not given."""
    try:
        return float(found.get(name) or default)
    except ValueError:
        return default
