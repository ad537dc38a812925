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
    print_json,
    print_table,
    reason,
    status_of,
)
from standalone.cli.sessions_use import (
    HEADS,
    SessionId,
    change,
    disable,
    drain,
    enable,
    remove,
    row,
)

if TYPE_CHECKING:
    from jimeng_client import Checked, Client

app = typer.Typer(
    help="Add, list, test and remove your accounts at the site.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
ASKING = "Credential (hidden)"
NOT_TAKEN = {"credential_refused", "other_account"}


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
    print_table(HEADS, [row(each) for each in found])
    if not found:
        typer.echo("No accounts yet: add one with `jimeng sessions add`.", err=True)


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


def _lines(file: Path | None, asking: str = ASKING) -> Iterable[str]:
    if file:
        return file.read_text(encoding="utf-8").splitlines()
    if not sys.stdin.isatty():
        return sys.stdin.read().splitlines()
    return [typer.prompt(asking, hide_input=True, err=True)]


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
def replace(
    session_id: SessionId,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Read it from a file."),
    ] = None,
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take it also when it is another account's."),
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Give an account a new credential; its tasks go on with it.

    It is asked for, hidden, or read from standard input or --file, and tested first:
    one that does not work, or is another account's, leaves the present one in place.
    """
    from jimeng_client import GatewayError

    entry = next(iter(_entries(_lines(file))), None)
    if entry is None:
        fail("no credential was given", WRONG)
    with gateway(url, api_key) as client:
        try:
            checked = client.sessions_replace(session_id, entry.credential, force=force)
        except GatewayError as error:
            hint = ""
            if error.type == "other_account":
                hint = " (--force takes it all the same)"
            refused = error.type in NOT_TAKEN
            fail(f"{reason(error)}{hint}", FAILED if refused else status_of(error))
    if as_json:
        print_json(checked)
    else:
        typer.echo(f"{session_id}: {_verdict(checked)}")


@app.command()
def proxy(
    session_id: SessionId,
    *,
    none: Annotated[
        bool, typer.Option("--none", help="Through no proxy any more.")
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Send an account's traffic through another proxy: scheme://[user:pw@]host:port.

    It is asked for, hidden, or read from standard input, and tested first: one through
    which the site does not answer leaves the present one in place.
    """
    from jimeng_client import GatewayError

    given = "" if none else next(iter(_lines(None, "Proxy (hidden)")), "").strip()
    if not given and not none:
        fail("no proxy was given (--none: use none)", WRONG)
    with gateway(url, api_key) as client:
        try:
            checked = client.sessions_proxy(session_id, given or None)
        except GatewayError as error:
            refused = error.type in NOT_TAKEN
            fail(reason(error), FAILED if refused else status_of(error))
    if as_json:
        print_json(checked)
    else:
        typer.echo(f"{session_id}: {_verdict(checked)}")


for verb, command in {
    "enable": enable,
    "disable": disable,
    "set": change,
    "drain": drain,
    "remove": remove,
}.items():
    app.command(verb)(command)
