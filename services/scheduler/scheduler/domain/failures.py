"""What a failure is called: one ErrorCode for each, and words for people."""

from contracts.errors import ErrorCode
from contracts.values import Failure
from jimeng.errors import Effect, ErrorKind, SessionEffect

_BY_KIND = {
    ErrorKind.CONTENT_RISK: ErrorCode.CONTENT_REFUSED,
    ErrorKind.ACCOUNT_BLOCKED: ErrorCode.ACCOUNT_REFUSED,
    ErrorKind.AUTH: ErrorCode.LOGIN_EXPIRED,
    ErrorKind.QUOTA: ErrorCode.CREDITS_EXHAUSTED,
    ErrorKind.GENERATION_FAILED: ErrorCode.GENERATION_FAILED,
    ErrorKind.NETWORK: ErrorCode.SITE_UNREACHABLE,
}


def code_of(event: Failure, effect: Effect | None) -> ErrorCode:
    """Return the worker's own code, else what the site's code means."""
    if event.code:
        return event.code
    if effect is None:
        return ErrorCode.GENERATION_FAILED
    if effect.session is SessionEffect.CLOSE_MODEL:
        return ErrorCode.ACCOUNT_REFUSED
    return _BY_KIND.get(effect.kind, ErrorCode.GENERATION_FAILED)


def words_of(event: Failure) -> str:
    """Return the site's text with its code, as it is shown to people."""
    if event.upstream_code and event.upstream_code not in event.detail:
        return f"{event.detail} ({event.upstream_code})"
    return event.detail
