"""`jimeng models`: what can be asked of each model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from standalone.cli.filters import OfKind
from standalone.cli.output import (
    DEFAULT_URL,
    ApiKey,
    AsJson,
    Url,
    gateway,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from jimeng_client import ModelInfo

HEADS = ["MODEL", "KIND", "SECONDS", "RESOLUTIONS", "REGIONS", "BROWSER"]


def run(
    kind: OfKind = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List the models and what each can do."""
    with gateway(url, api_key) as client:
        found = client.models(kind.value if kind else None)
    if as_json:
        print_json(found)
        return
    print_table(HEADS, [_row(each) for each in found])


def _row(model: "ModelInfo") -> list[str]:
    return [
        f"{model.id}{' *' if model.default else ''}",
        model.kind,
        _spans(model.durations),
        " ".join(model.resolutions),
        " ".join(model.regions),
        "needed" if model.in_page else "-",
    ]


def _spans(numbers: Sequence[int]) -> str:
    """Write numbers shortly: 4-15, or 5 10 12."""
    if not numbers:
        return "-"
    first, last = min(numbers), max(numbers)
    if len(numbers) > 2 and list(numbers) == list(range(first, last + 1)):  # noqa: PLR2004 - two are no span
        return f"{first}-{last}"
    return " ".join(map(str, numbers))
