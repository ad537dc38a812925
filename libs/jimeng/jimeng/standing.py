"""How an account stands: its credits, and whether its login is valid."""

import json
from dataclasses import dataclass
from typing import Any

from jimeng.answers import Answer, at, expect_success, first_word, whole, word


@dataclass(frozen=True, slots=True)
class Credits:
    """What an account can spend. Gifts are daily and end at local midnight."""

    gift: int = 0
    purchase: int = 0
    vip: int = 0

    @property
    def total(self) -> int:
        """All three together."""
        return self.gift + self.purchase + self.vip


@dataclass(frozen=True, slots=True)
class Live:
    """Whether a login is valid; `user_id` is the site's, where it tells it."""

    alive: bool
    user_id: str | None = None
    text: str = ""


def read_credits(answer: Answer) -> Credits:
    """The credits in a commerce answer; BadAnswer rather than none by mistake."""
    data = expect_success(answer)
    credit = at(data, "credit") or at(_inner(answer), "credit")
    if not isinstance(credit, dict):
        raise answer.bad("no credit")
    names = ("gift_credit", "purchase_credit", "vip_credit")
    return Credits(*(whole(credit.get(name)) or 0 for name in names))


def _inner(answer: Answer) -> Any:
    """Commerce repeats its data as a JSON string."""
    try:
        return json.loads(word(answer.body.get("response")))
    except ValueError:
        return None


def read_passport(answer: Answer) -> Live:
    """A live check by passport, which answers `message` and `data`, without `ret`."""
    message = word(answer.body.get("message"))
    data = answer.body.get("data")
    user_id = word(at(data, "user_id"))
    if message == "success" and user_id not in ("", "0"):
        return Live(alive=True, user_id=user_id)
    if message in ("success", "error"):
        words = (at(data, "description"), at(data, "name"), "not logged in")
        return Live(alive=False, text=first_word(words))
    expect_success(answer)  # some failures come in the other envelope
    raise answer.bad("no message")
