"""One command in, one send, one fact out. Never a look-up, never a second send."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from secrets import token_hex
from time import monotonic
from uuid import uuid4

import jimeng
from contracts.bus import Bus
from contracts.message import now
from contracts.tasks import Submit, SubmitInPage, SubmitPlain
from contracts.workers import AskPermit, GetCredential
from signer import domain
from signer.page import Page

Pages = Callable[[str, jimeng.Account], AbstractAsyncContextManager[Page]]
Send = Callable[[jimeng.Submission, float], Awaitable[jimeng.Accepted]]

log = logging.getLogger("signer")


def register_pages(bus: Bus, pages: Pages, *, concurrency: int, seconds: float) -> None:
    """Take the submits that must be made inside the site's page."""

    @bus.consume(SubmitInPage, concurrency=concurrency)
    async def send_in_page(command: SubmitInPage) -> None:
        if ready := await _ready(bus, command):
            account, submission = ready
            async with pages(command.session, account) as page:
                await _send(
                    bus, command, submission, lambda s, u: page.send(s, u, seconds)
                )


def register_plain(
    bus: Bus, upstream: jimeng.Upstream, *, concurrency: int, seconds: float
) -> None:
    """Take the submits that may be made by a plain request."""

    @bus.consume(SubmitPlain, concurrency=concurrency)
    async def send_plain(command: SubmitPlain) -> None:
        if ready := await _ready(bus, command):
            account, submission = ready
            async with jimeng.Jimeng(account, upstream) as site:

                async def send(
                    submission: jimeng.Submission, until: float
                ) -> jimeng.Accepted:
                    return await site.submit(
                        submission, gate=lambda: _in_time(until), within=seconds
                    )

                await _send(bus, command, submission, send)


async def _ready(
    bus: Bus, command: Submit
) -> tuple[jimeng.Account, jimeng.Submission] | None:
    """Get account and request; None, and told, when the job is none the site takes."""
    account = domain.account_of(await bus.ask(GetCredential(session=command.session)))
    try:
        return account, domain.submission_of(
            command, account, now(), lambda: str(uuid4())
        )
    except jimeng.InvalidJob as error:
        await bus.emit(domain.outcome(command, error))
        return None


async def _send(
    bus: Bus, command: Submit, submission: jimeng.Submission, send: Send
) -> None:
    """Ask the permit, last of all; with a yes send, once; tell how it went."""
    until = await _permit(bus, command, submission)
    if until is None:
        return
    try:
        ending: jimeng.Accepted | jimeng.JimengError = await send(submission, until)
    except jimeng.JimengError as error:
        ending = error
    event = domain.outcome(command, ending)
    log.info("submit: %s", type(event).__name__.lower(), extra=_words(ending))
    await bus.emit(event)


async def _permit(
    bus: Bus, command: Submit, submission: jimeng.Submission
) -> float | None:
    """Return until when the request may leave, on our monotonic clock, else None."""
    asked_at = monotonic()
    permit = await bus.ask(
        AskPermit(
            task=command.task,
            attempt=command.attempt,
            send=command.send,
            nonce=token_hex(16),
            submit_id=command.submit_id,
            body_hash=domain.body_hash(submission),
        )
    )
    if permit.granted:
        return asked_at + permit.valid_seconds
    log.info("no permit: %s", permit.reason)
    if permit.reason == "already_granted":
        detail = "an earlier run had the permit; whether it sent is not known"
        await bus.emit(domain.unknown(command, detail))
    return None


def _in_time(until: float) -> None:
    if monotonic() >= until:
        raise domain.NotSentError("the permit expired before it left")


def _words(ending: jimeng.Accepted | jimeng.JimengError) -> dict[str, str]:
    accepted = isinstance(ending, jimeng.Accepted)
    return {} if accepted else {"reason": str(ending)[:500]}
