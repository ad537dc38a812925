"""How accounts are shown and used: on, off, how much, and no longer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from standalone.cli.output import (
    DEFAULT_URL,
    WRONG,
    ApiKey,
    AsJson,
    Url,
    fail,
    gateway,
    local_time,
    print_json,
)

if TYPE_CHECKING:
    from jimeng_client import Client, Session

SessionId = Annotated[
    str, typer.Argument(metavar="ID", help="As `jimeng sessions list` shows it.")
]
HEADS = ["ID", "LABEL", "ACCOUNT", "STATE", "CREDITS", "TASKS", "LAST USED", "WHY"]


def row(session: "Session") -> list[str]:
    """Return an account as a line of a table."""
    most = min(session.max_active, session.learnt or session.max_active)
    return [
        session.id,
        session.label or "-",
        session.session_id,
        session.state,
        str(session.credits.total) if session.credits else "-",
        f"{session.active_tasks}/{most}",
        local_time(session.last_used_at),
        _why(session),
    ]


def _why(session: "Session") -> str:
    """Say what keeps an account from being used in full."""
    words = [session.reason] if session.reason else []
    if session.until:
        words.append(f"until {local_time(session.until)}")
    if session.learnt:
        words.append(f"the site takes {session.learnt} at a time")
    if session.daily_cap:
        words.append(f"{session.today} of {session.daily_cap} jobs today")
    if session.models:
        words.append(f"only {', '.join(session.models)}")
    words += [
        f"not {closed.model}: {closed.reason}" for closed in session.closed_models
    ]
    return "; ".join(words) or "-"


def _asking(
    told: str, ask: Callable[["Client", str], "Session"]
) -> Callable[..., None]:
    """Return a command that asks one thing of an account and shows how it is then."""

    def command(
        session_id: SessionId,
        *,
        as_json: AsJson = False,
        url: Url = DEFAULT_URL,
        api_key: ApiKey = None,
    ) -> None:
        with gateway(url, api_key) as client:
            _show(ask(client, session_id), as_json=as_json)

    command.__doc__ = told
    return command


enable = _asking(
    "Let an account take tasks again, of every model.",
    lambda client, session_id: client.sessions_enable(session_id),
)
disable = _asking(
    "Give an account no more tasks; what runs on it goes on.",
    lambda client, session_id: client.sessions_enable(session_id, enabled=False),
)
drain = _asking(
    "Give an account no more tasks, and remove it when those on it have ended.",
    lambda client, session_id: client.sessions_drain(session_id),
)


def change(
    session_id: SessionId,
    max_active: Annotated[
        int | None, typer.Option(min=1, max=100, help="Tasks at one time.")
    ] = None,
    daily_cap: Annotated[
        int | None, typer.Option(min=0, help="Most jobs a day; 0: no cap.")
    ] = None,
    weight: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Its share, by SESSION_POLICY=weighted."),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="The only models, with commas; empty: every one.")
    ] = None,
    *,
    label: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Change how an account is used."""
    names = None
    if models is not None:
        names = [name.strip() for name in models.split(",") if name.strip()]
    wish = {
        "max_active": max_active,
        "daily_cap": daily_cap,
        "weight": weight,
        "models": names,
        "label": label,
    }
    given = {name: value for name, value in wish.items() if value is not None}
    if not given:
        fail("nothing to change: see --help", WRONG)
    with gateway(url, api_key) as client:
        _show(client.sessions_set(session_id, **given), as_json=as_json)


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


def _show(session: "Session", *, as_json: bool) -> None:
    if as_json:
        print_json(session)
    else:
        typer.echo(f"{session.id}: {session.state}")
