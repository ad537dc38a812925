"""`jimeng sessions`: your accounts at the site."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.cli.output import (
    DEFAULT_URL,
    FAILED,
    WRONG,
    ApiKey,
    AsJson,
    Url,
    clean,
    fail,
    gateway,
    local_time,
    print_json,
    print_table,
    reason,
)

if TYPE_CHECKING:
    from jimeng_client import Checked, Client, Session

app = typer.Typer(
    help="Add, list, test and remove your accounts at the site.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
SessionId = Annotated[
    str, typer.Argument(metavar="ID", help="As `jimeng sessions list` shows it.")
]


@app.command("list")
def list_sessions(
    *, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """List the accounts, how they are, and what they may still spend."""
    with gateway(url, api_key) as client:
        found = client.sessions_list()
    if as_json:
        print_json({"sessions": [each.model_dump(mode="json") for each in found]})
        return
    heads = ["ID", "LABEL", "ACCOUNT", "STATE", "CREDITS", "TASKS", "LAST USED"]
    print_table(heads, [_row(each) for each in found])
    if not found:
        typer.echo("No accounts yet: add one with `jimeng sessions add`.", err=True)


def _row(session: "Session") -> list[str]:
    return [
        session.id,
        session.label or "-",
        session.session_id,
        session.state,
        str(session.credits.total) if session.credits else "-",
        f"{session.active_tasks}/{session.max_active}",
        local_time(session.last_used_at),
    ]


@app.command()
def add(
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Read them from a file, one per line."
        ),
    ] = None,
    max_active: Annotated[
        int | None, typer.Option(min=1, max=100, help="Tasks at one time; else 2.")
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Add accounts and test each at once.

    A credential is the value of the cookie `sessionid` of a signed-in browser. It is
    asked for, hidden, or read from standard input or --file, one per line:

      [proxy@][us-|hk-|jp-|sg-]<sessionid>  label

    The prefix is an international account's region, the label whatever you like.
    """
    entries = list(_entries(_lines(file)))
    if not entries:
        fail("no credential was given", WRONG)
    results = []
    with gateway(url, api_key) as client:
        for entry in entries:
            results.append(_add(client, entry, max_active))
            if not as_json:
                typer.echo(results[-1].line)
    if as_json:
        print_json([result.told for result in results])
    if not all(result.good for result in results):
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Entry:
    """A credential to add; never shown."""

    number: int
    credential: str
    label: str


@dataclass(frozen=True)
class _Result:
    """What became of one credential."""

    good: bool
    line: str
    told: dict[str, Any]


def _lines(file: Path | None) -> Iterable[str]:
    if file:
        return file.read_text(encoding="utf-8").splitlines()
    if not sys.stdin.isatty():
        return sys.stdin.read().splitlines()
    return [typer.prompt("Credential (hidden)", hide_input=True, err=True)]


def _entries(lines: Iterable[str]) -> Iterable[_Entry]:
    for number, line in enumerate(lines, 1):
        credential, *label = line.split(maxsplit=1)[:2] or [""]
        if credential and not credential.startswith("#"):
            yield _Entry(number, credential, label[0].strip() if label else "")


def _add(client: "Client", entry: _Entry, max_active: int | None) -> _Result:
    """Add one account; one that is refused does not stop the others."""
    from jimeng_client import GatewayError

    name = clean(entry.label) or f"line {entry.number}"
    try:
        checked = client.sessions_add(
            entry.credential, label=entry.label, max_active=max_active
        )
    except GatewayError as error:
        if error.temporary:
            raise
        told = {"error": error.type, "detail": error.detail, "label": entry.label}
        return _Result(good=False, line=f"{name}: {reason(error)}", told=told)
    line = f"{name}: {_verdict(checked)}"
    # Not checked yet is not refused: the account is in the pool.
    good = checked.ok or checked.outcome is None
    return _Result(good, line, checked.model_dump(mode="json"))


def _verdict(checked: "Checked") -> str:
    if checked.ok:
        left = checked.session.credits
        return "active" + (f", {left.total} credits" if left else "")
    word = (checked.outcome or checked.session.state).replace("_", " ")
    return f"{word}: {clean(checked.message)}"


@app.command("test")
def check(
    session_id: SessionId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Check an account now."""
    with gateway(url, api_key) as client:
        checked = client.sessions_test(session_id)
    if as_json:
        print_json(checked)
    else:
        typer.echo(f"{session_id}: {_verdict(checked)}")
    if not checked.ok:
        raise typer.Exit(FAILED)


@app.command()
def enable(
    session_id: SessionId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Let an account take tasks again."""
    _switch(session_id, url, api_key, enabled=True, as_json=as_json)


@app.command()
def disable(
    session_id: SessionId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Give an account no more tasks; what runs on it goes on."""
    _switch(session_id, url, api_key, enabled=False, as_json=as_json)


def _switch(
    session_id: str, url: str, api_key: str | None, *, enabled: bool, as_json: bool
) -> None:
    with gateway(url, api_key) as client:
        session = client.sessions_enable(session_id, enabled=enabled)
    if as_json:
        print_json(session)
    else:
        typer.echo(f"{session.id}: {session.state}")


@app.command()
def remove(
    session_id: SessionId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Take an account out of the pool, once nothing of it is unsettled."""
    with gateway(url, api_key) as client:
        client.sessions_remove(session_id)
    if as_json:
        print_json({"ok": True})
    else:
        typer.echo(f"{session_id}: removed")
