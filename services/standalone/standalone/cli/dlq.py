"""`jimeng dlq`: the messages no retry helped."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from standalone.cli.login import Data, connected, link_of
from standalone.cli.output import (
    FAILED,
    WRONG,
    AsJson,
    clean,
    elapsed_text,
    fail,
    local_time,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from contracts.dead import Letter

USER = "dlq"
T = TypeVar("T")

app = typer.Typer(
    help="List, show, put back or drop the messages no retry helped.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
Sequences = Annotated[
    list[int],
    typer.Argument(metavar="SEQ...", min=1, help="As `jimeng dlq list` shows it."),
]


@app.command("list")
def list_letters(
    service: Annotated[
        str | None, typer.Option(help="Only those this service gave up.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List the dead letters, the newest first; nothing is taken."""
    newest: deque[Letter] = deque(maxlen=limit)

    async def read(js: "JetStreamContext") -> int:
        from contracts.dead import letters

        count = 0
        async for each in letters(js):
            if service in {None, each.service}:
                newest.append(each)
                count += 1
        return count

    count = _run(data, read)
    if as_json:
        print_json([_told(each) for each in reversed(newest)])
        return
    heads = ["SEQ", "AGE", "SERVICE", "SUBJECT", "REASON", "DETAIL"]
    print_table(heads, [_row(each) for each in reversed(newest)])
    if count > limit:
        say(f"There are {count - limit} older ones: see --limit.")


@app.command()
def show(
    sequence: Annotated[int, typer.Argument(metavar="SEQ", min=1)],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show one with its headers and body; what looks like a secret is hidden."""

    async def read(js: "JetStreamContext") -> "Letter":
        from contracts.dead import letter

        return await letter(js, sequence)

    found = _run(data, read)
    if as_json:
        print_json(_told(found) | {"headers": _headers(found), "body": _body(found)})
        return
    lines = {"Seq": str(found.sequence), "Died": local_time(found.at)}
    for name, value in (lines | _headers(found)).items():
        typer.echo(f"{name + ':':17}{clean(value)}")
    body = _body(found)
    typer.echo()
    typer.echo(
        clean(body)
        if isinstance(body, str)
        else json.dumps(body, indent=2, ensure_ascii=False)
    )


@app.command()
def requeue(
    sequences: Sequences, *, as_json: AsJson = False, data: Data = None
) -> None:
    """Send messages again as they were, and take them out of here.

    One whose subject is occupied is refused: the same command is there already, waiting
    or worked on. A command whose attempt is over does no harm: its worker is refused
    the permit, or what it says is not heard.
    """

    async def put(js: "JetStreamContext", sequence: int) -> tuple[str, str]:
        from contracts.dead import letter, put_back
        from contracts.streams import Kept

        found = await letter(js, sequence)
        if await put_back(js, found) is Kept.STILL_THERE:
            raise _RefusedError(f"{found.subject} is still there, waiting or worked on")
        return "requeued", found.subject

    _each(data, sequences, put, as_json=as_json)


@app.command()
def drop(sequences: Sequences, *, as_json: AsJson = False, data: Data = None) -> None:
    """Delete messages for good."""

    async def delete(js: "JetStreamContext", sequence: int) -> tuple[str, str]:
        from contracts.dead import letter, take_out

        found = await letter(js, sequence)
        await take_out(js, sequence)
        return "dropped", found.subject

    _each(data, sequences, delete, as_json=as_json)


class _RefusedError(Exception):
    """Something is not done, for a reason."""


def _each(
    data: Path | None,
    sequences: list[int],
    work: "Callable[[JetStreamContext, int], Awaitable[tuple[str, str]]]",
    *,
    as_json: bool,
) -> None:
    """Do something with each; one that cannot be done does not stop the others."""
    told: list[dict[str, Any]] = []

    async def do(js: "JetStreamContext") -> None:
        from contracts.dead import NoLetterError

        for sequence in sequences:
            try:
                outcome, subject = await work(js, sequence)
            except (NoLetterError, _RefusedError) as no:
                told.append({"sequence": sequence, "refused": str(no)})
            else:
                told.append({"sequence": sequence, outcome: subject})

    _run(data, do)
    if as_json:
        print_json(told)
    for each in () if as_json else told:
        _say_outcome(each)
    if any("refused" in each for each in told):
        raise typer.Exit(FAILED)


def _say_outcome(told: dict[str, Any]) -> None:
    sequence, (outcome, text) = told["sequence"], list(told.items())[1]
    if outcome == "refused":
        say(f"jimeng: {sequence}: {text}")
    else:
        typer.echo(f"{sequence}  {outcome}  {clean(text)}")


# the letters, as they are shown


def _row(letter: "Letter") -> list[str]:
    return [
        str(letter.sequence),
        elapsed_text(letter.age_seconds),
        letter.service,
        letter.subject,
        letter.reason or "-",
        _hidden(letter.detail) or "-",
    ]


def _told(letter: "Letter") -> dict[str, Any]:
    return {
        "sequence": letter.sequence,
        "at": letter.at.isoformat(),
        "service": letter.service,
        "subject": letter.subject,
        "reason": letter.reason,
        "detail": _hidden(letter.detail),
    }


def _headers(letter: "Letter") -> dict[str, str]:
    shown = letter.headers | {"Dlq-Detail": letter.detail}
    return {name: _hidden(value) for name, value in shown.items()}


def _body(letter: "Letter") -> Any:
    """Return a body as it can be shown: as JSON where it is, else as text."""
    try:
        return _hidden(json.loads(letter.body))
    except ValueError:
        return _hidden(letter.body.decode(errors="replace"))


def _hidden(value: Any) -> Any:
    from runtime.logs import hide

    return hide(value)


# the connection


def _run(
    data: Path | None, work: "Callable[[JetStreamContext], Coroutine[Any, Any, T]]"
) -> T:
    """Do something with JetStream; what prevents it ends the command with a line."""
    from nats.errors import Error as NatsError

    from contracts.dead import NoLetterError
    from runtime.logs import scrub_text

    link = link_of(data, USER)

    async def run() -> T:
        async with connected(link, USER) as client:
            return await work(client.jetstream())

    try:
        return asyncio.run(run())
    except NoLetterError as no:
        fail(str(no))
    except (NatsError, OSError) as error:
        where = scrub_text(link.url)
        fail(f"NATS at {where}: {str(error) or 'no answer'}; does it run?", WRONG)
