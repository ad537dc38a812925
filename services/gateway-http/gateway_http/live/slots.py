"""How many clients may follow at a time: in all, each caller, each task."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway_http.problems import Problem

AGAIN_SECONDS = 15


@dataclass(frozen=True)
class Limits:
    """How many may follow through one gateway at a time."""

    all: int = 2_000
    of_caller: int = 20
    of_task: int = 10


class Slots:
    """Counts who follows; refuses those who are too many."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[tuple[str, str]] = Counter()

    def take(self, owner: str | None, task: str | None) -> Callable[[], None]:
        """Take a slot; returns what gives it back. Raises Problem where none is free.

        A caller without an owner is the operator, who has no limit of its own.
        """
        asked = {("all", ""): (self._limits.all, "clients follow this gateway")}
        if owner is not None:
            text = "streams are open with this key"
            asked["caller", owner] = (self._limits.of_caller, text)
        if task is not None:
            text = "clients follow this task"
            asked["task", task] = (self._limits.of_task, text)
        for name, (limit, text) in asked.items():
            if self._taken[name] >= limit:
                raise _too_many(limit, text)
        self._taken.update(asked.keys())
        return _once(lambda: self._free(list(asked)))

    def _free(self, names: list[tuple[str, str]]) -> None:
        self._taken.subtract(names)
        self._taken = +self._taken


def _once(act: Callable[[], None]) -> Callable[[], None]:
    left = [act]

    def free() -> None:
        if left:
            left.pop()()

    return free


def _too_many(limit: int, text: str) -> Problem:
    detail = f"{limit} {text} already, as many as may: close one, or read instead"
    headers = {"Retry-After": str(AGAIN_SECONDS)}
    return Problem(429, "too_many_streams", detail, headers=headers)
