"""How often a command was begun here: first patience, then what can be had."""

KEPT = 1000  # commands; one that ends at another instance would stay for ever


class Runs:
    """Counts the runs of the commands that were begun last."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def begun(self, key: str) -> int:
        """Note a run; return the how-manieth it is."""
        count = self._begun.pop(key, 0) + 1
        self._begun[key] = count
        if len(self._begun) > KEPT:
            del self._begun[next(iter(self._begun))]
        return count

    def uncounted(self, key: str) -> None:
        """Forget that a run was begun: it could do nothing."""
        if (count := self._begun.pop(key, 0)) > 1:
            self._begun[key] = count - 1

    def ended(self, key: str) -> None:
        """Forget a command."""
        self._begun.pop(key, None)
