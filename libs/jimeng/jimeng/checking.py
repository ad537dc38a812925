"""What holds for the fields of any job, whatever it makes."""

from collections.abc import Sequence

from jimeng.account import Region
from jimeng.errors import InvalidJob

MAX_PROMPT_CHARS = 15_000  # the longest the site's newest model takes
MAX_SEED = 2**32 - 1


def default(wanted: str, allowed: Sequence[str]) -> str:
    """The usual choice where it is allowed, else the first that is."""
    return wanted if wanted in allowed else allowed[0]


def check_region(model: str, allowed: Sequence[Region], region: Region | None) -> None:
    """Refuse a model that is not offered where the account lives."""
    if region is not None and region not in allowed:
        raise InvalidJob("model", f"{model} is not offered in region {region}")


def check_choice(
    field: str, value: object, model: str, allowed: Sequence[object]
) -> None:
    """Refuse a value that is not among a model's own."""
    if value not in allowed:
        choices = ", ".join(map(str, allowed))
        raise InvalidJob(field, f"{model} allows {choices}, not {str(value)[:100]}")


def check_text(prompt: str, seed: int | None) -> None:
    """Refuse a prompt or a seed that no model takes."""
    if len(prompt) > MAX_PROMPT_CHARS:
        raise InvalidJob("prompt", f"longer than {MAX_PROMPT_CHARS} characters")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InvalidJob("seed", f"a seed is between 0 and {MAX_SEED}")
