"""The one error of the client."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One thing that was wrong with a request, and where."""

    field: str
    message: str


class GatewayError(Exception):
    """The gateway said no, or could not be asked (`status` 0).

    `type` is stable, for programs; `detail` is for people. `task_id` is there when the
    gateway does not know whether it accepted a task: look it up before trying again.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the name it has in RFC 9457
        detail: str,
        errors: Sequence[FieldError] = (),
        task_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail
        self.errors = tuple(errors)
        self.task_id = task_id

    @property
    def unreachable(self) -> bool:
        """Nobody answered: nothing was decided."""
        return self.status == 0

    @property
    def temporary(self) -> bool:
        """Trying again later may help."""
        return self.unreachable or self.status == 503  # noqa: PLR2004 - HTTP's
