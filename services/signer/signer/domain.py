"""Pure: what to send for a command, and what to tell of how it went."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

import jimeng
from contracts import tasks as said
from contracts import values
from contracts.errors import ErrorCode
from contracts.workers import Credential


class NotSentError(jimeng.Unreachable):
    """The request certainly did not leave, and no longer can."""


def account_of(credential: Credential) -> jimeng.Account:
    """Return the site's account of a credential."""
    return jimeng.Account(
        sessionid=credential.sessionid,
        region=credential.region,  # type: ignore[arg-type]  # Account checks it
        web_id=credential.web_id,
        user_id=credential.user_id,
        proxy=credential.proxy,
    )


def submission_of(
    command: said.Submit,
    account: jimeng.Account,
    now: datetime,
    ids: Callable[[], str],
) -> jimeng.Submission:
    """Build the request of a command; raises InvalidJob when its job is none."""
    job = command.job
    materials = [jimeng.Uploaded.model_validate(each) for each in command.materials]
    fitted = jimeng.fit(
        prompt=job.prompt,
        model=job.model,
        duration=job.duration,
        ratio=job.ratio,
        resolution=job.resolution,
        function_mode=job.function_mode,
        files=_kinds(job, materials),
        region=account.region,
    )
    return jimeng.draft(
        fitted,
        materials,
        submit_id=command.submit_id,
        account=account,
        now=now,
        ids=ids,
    )


def _kinds(job: values.Job, materials: list[jimeng.Uploaded]) -> list[jimeng.FileKind]:
    """Return what the files are: a fetched one is what it turned out to be."""
    if len(materials) != len(job.files):  # the draft refuses them
        return [file.kind for file in job.files]
    pairs = zip(job.files, materials, strict=True)
    return [material.kind if file.url else file.kind for file, material in pairs]


def body_hash(submission: jimeng.Submission) -> str:
    """Return what names this very body in the permit."""
    return sha256(submission.body.encode()).hexdigest()


def outcome(
    command: said.Submit, ending: jimeng.Accepted | jimeng.JimengError
) -> said.TaskEvent:
    """Return the fact to tell: taken, certainly not taken, or not known."""
    match ending:
        case jimeng.Accepted(history_id=upstream_id, answer=answer):
            return said.Submitted(
                **_whose(command), upstream_id=upstream_id, answer=answer
            )
        case jimeng.Refused(code=code, answer=answer):
            return said.Refused(
                **_whose(command),
                upstream_code=code,
                detail=ending.text or ending.effect.text,
                answer=answer,
            )
        case jimeng.Unreachable():
            return not_sent(command, ErrorCode.SITE_UNREACHABLE, str(ending))
        case jimeng.InvalidJob():
            return not_sent(command, ErrorCode.INVALID_REQUEST, str(ending))
        case jimeng.Unknown(code=code, answer=answer):
            return unknown(command, str(ending), code or None, answer or None)
    return unknown(command, str(ending))


def not_sent(command: said.Submit, code: ErrorCode, detail: str) -> said.Refused:
    """Return the fact that nothing was sent, and why."""
    return said.Refused(**_whose(command), code=code, detail=detail)


def unknown(
    command: said.Submit,
    detail: str,
    upstream_code: str | None = None,
    answer: str | None = None,
) -> said.Unknown:
    """Return the fact that something may have been sent, and no more is known."""
    return said.Unknown(
        **_whose(command), upstream_code=upstream_code, detail=detail, answer=answer
    )


def _whose(command: said.Submit) -> dict[str, str | int]:
    return {"task": command.task, "attempt": command.attempt, "n": command.send}
