"""Every way a task can end badly, one line each."""

from enum import StrEnum
from typing import Literal

ErrorKind = Literal[
    "content_risk",
    "account_blocked",
    "auth",
    "quota",
    "timeout",
    "generation_failed",
    "network",
    "unknown",
]
"""The eight words clients know; each ErrorCode belongs to exactly one."""


class ErrorCode(StrEnum):
    """Why a task failed; stable, for programs. The text beside it is for people."""

    CONTENT_REFUSED = "content_refused"  # moderation of prompt, reference or result
    REFERENCE_INVALID = "reference_invalid"  # a reference file is not what it must be
    REFERENCE_UNREACHABLE = "reference_unreachable"  # a reference's URL gives no file
    REFERENCE_REJECTED = "reference_rejected"  # the site did not take a reference
    INVALID_REQUEST = "invalid_request"  # the site calls the parameters wrong
    ACCOUNT_REFUSED = "account_refused"  # no account may do this
    LOGIN_EXPIRED = "login_expired"  # every account that could do it is signed out
    CREDITS_EXHAUSTED = "credits_exhausted"  # no credits or daily limit reached
    GENERATION_FAILED = "generation_failed"  # the site tried and failed
    POLL_TIMEOUT = "poll_timeout"  # unfinished after MAX_POLL_DURATION_SECS
    DEADLINE_EXCEEDED = "deadline_exceeded"  # unfinished at the task's own deadline
    SUBMIT_UNKNOWN = "submit_unknown"  # held, and given up by an operator
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # max_attempts refusals
    SITE_UNREACHABLE = "site_unreachable"  # nothing could be sent
    DOWNLOAD_FAILED = "download_failed"  # generated, but could not be stored
    STEP_DIED = "step_died"  # a service gave a step up; the dead letter says why
    INTERNAL = "internal"  # a defect of the gateway

    @property
    def kind(self) -> ErrorKind:
        """The word clients of the earlier gateway know this by."""
        return _KINDS[self]


_KINDS: dict[ErrorCode, ErrorKind] = {
    ErrorCode.CONTENT_REFUSED: "content_risk",
    ErrorCode.REFERENCE_INVALID: "generation_failed",
    ErrorCode.REFERENCE_UNREACHABLE: "network",
    ErrorCode.REFERENCE_REJECTED: "generation_failed",
    ErrorCode.INVALID_REQUEST: "generation_failed",
    ErrorCode.ACCOUNT_REFUSED: "account_blocked",
    ErrorCode.LOGIN_EXPIRED: "auth",
    ErrorCode.CREDITS_EXHAUSTED: "quota",
    ErrorCode.GENERATION_FAILED: "generation_failed",
    ErrorCode.POLL_TIMEOUT: "timeout",
    ErrorCode.DEADLINE_EXCEEDED: "timeout",
    ErrorCode.SUBMIT_UNKNOWN: "unknown",
    ErrorCode.ATTEMPTS_EXHAUSTED: "generation_failed",
    ErrorCode.SITE_UNREACHABLE: "network",
    ErrorCode.DOWNLOAD_FAILED: "network",
    ErrorCode.STEP_DIED: "unknown",
    ErrorCode.INTERNAL: "unknown",
}
