"""What a reference must be, and what it means when the site does not take it."""

from collections.abc import Sequence

import fetch
import jimeng
import media
from contracts.errors import ErrorCode
from contracts.tasks import UploadFailed, UploadReferences
from contracts.values import FileRef
from contracts.workers import Credential


def account_of(credential: Credential) -> jimeng.Account:
    """Return the site's account of a credential."""
    return jimeng.Account(
        sessionid=credential.sessionid,
        region=credential.region,  # type: ignore[arg-type]  # Account checks it
        web_id=credential.web_id,
        user_id=credential.user_id,
        proxy=credential.proxy,
    )


def mismatch(file: FileRef, size: int, found: media.Probed) -> str | None:
    """Say how a stored file differs from what was accepted; None: it does not.

    Of one that was fetched, nothing was known.
    """
    if file.url:
        return None
    if size != file.size:
        return f"{file.name} has {size} bytes, not {file.size}"
    if found.kind != file.kind:
        return f"{file.name} is of kind {found.kind}, not {file.kind}"
    return None


def unfit(command: UploadReferences, found: Sequence[media.Probed]) -> str | None:
    """Say why fetched files do not make the job that was accepted; None: they do."""
    job = command.job
    if job is None or not any(file.url for file in command.files):
        return None
    try:
        fitted = jimeng.fit(
            prompt=job.prompt,
            model=job.model,
            duration=job.duration,
            ratio=job.ratio,
            resolution=job.resolution,
            function_mode=job.function_mode,
            files=[each.kind for each in found],
        )
        jimeng.check_lengths(fitted, [each.duration_ms for each in found])
    except jimeng.InvalidJob as error:
        kinds = ", ".join(each.kind for each in found)
        return f"{error.text} (the references are: {kinds})"
    return None


def order(found: Sequence[media.Probed]) -> list[int]:
    """Return the places of the files as they are uploaded: images first."""
    return sorted(range(len(found)), key=lambda place: found[place].kind != "image")


def invalid(command: UploadReferences, detail: str) -> UploadFailed:
    """Return that a reference is not what it must be."""
    return _failed(command, code=ErrorCode.REFERENCE_INVALID, detail=detail)


def unfetched(command: UploadReferences, error: fetch.FetchError) -> UploadFailed:
    """Return that a reference's URL gives no file, or none that can be used."""
    missing = isinstance(error, (fetch.NotFoundError, fetch.TroubleError))
    code = ErrorCode.REFERENCE_UNREACHABLE if missing else ErrorCode.REFERENCE_INVALID
    return _failed(command, code=code, detail=str(error))


def no_session(command: UploadReferences) -> UploadFailed:
    """Return that the session is gone; another one may do it."""
    detail = "the session was removed"
    return _failed(command, code=ErrorCode.SITE_UNREACHABLE, detail=detail)


def refused(
    command: UploadReferences, error: jimeng.JimengError
) -> UploadFailed | None:
    """Return what the site's no means for the job; None: trying again may help.

    A code whose meaning is known is left to the scheduler: it may be the account's.
    """
    match error:
        case jimeng.Refused():
            return _failed(
                command,
                code=None
                if jimeng.effect_of(error.code)
                else ErrorCode.REFERENCE_REJECTED,
                upstream_code=error.code or None,
                detail=error.text or error.effect.text,
                answer=error.answer,
            )
        case jimeng.UploadFailed(temporary=False):
            return _failed(
                command,
                code=ErrorCode.REFERENCE_REJECTED,
                detail=str(error),
                answer=error.answer or None,
            )
    return None


def _failed(
    command: UploadReferences,
    *,
    code: ErrorCode | None,
    detail: str,
    upstream_code: str | None = None,
    answer: str | None = None,
) -> UploadFailed:
    return UploadFailed(
        task=command.task,
        attempt=command.attempt,
        code=code,
        upstream_code=upstream_code,
        detail=detail,
        answer=answer,
    )
