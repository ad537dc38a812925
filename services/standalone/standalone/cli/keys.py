"""`jimeng keys`: the keys of your clients, and the first one of your own."""

import asyncio
import getpass
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.cli.login import Data, connected, link_of
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
    print_table,
    say,
)

if TYPE_CHECKING:
    from contracts.keys import CreateKey, Key
    from jimeng_client import ApiKey as Shown

USER = "keys"
HEADS = ["ID", "NAME", "KEY", "SCOPES", "RATE", "QUOTA", "CREDITS", "TASKS", "EXPIRES"]
app = typer.Typer(
    help="Make, list, change and revoke the keys of your clients.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `jimeng keys list` says.")]
Scopes = Annotated[
    str | None,
    typer.Option(
        help="With commas: video:create, image:create, task:read, task:cancel, "
        "task:retry, admin."
    ),
]
Days = Annotated[
    float | None, typer.Option(min=0, help="Days from now; 0: it never expires.")
]
Rate = Annotated[int | None, typer.Option(min=0, help="Requests a minute; 0: any.")]
Quota = Annotated[int | None, typer.Option(min=0, help="Tasks a day (UTC); 0: any.")]
Credits = Annotated[
    int | None, typer.Option(min=0, help="Credits a day, estimated; 0: any.")
]
Concurrent = Annotated[
    int | None, typer.Option(min=0, help="Tasks at one time, others wait; 0: any.")
]


@app.command("list")
def list_keys(
    *, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """List the keys, by the beginning that is shown of each."""
    with gateway(url, api_key) as client:
        found = client.keys.list()
    if as_json:
        print_json({"keys": [each.model_dump(mode="json") for each in found]})
    else:
        print_table(HEADS, [_row(each) for each in found])


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, or what for.")],
    *,
    scopes: Scopes = None,
    expires: Days = None,
    rate_limit: Rate = None,
    daily_quota: Quota = None,
    daily_credits: Credits = None,
    concurrent: Concurrent = None,
    admin: Annotated[
        bool,
        typer.Option(
            "--admin",
            help="One that may everything. Without --api-key it is made on the host "
            "of the running gateway, in whose data folder its users are.",
        ),
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make a key. It is printed this once: keep it.

    The first one is made with --admin; it makes the others (JIMENG_API_KEY).
    """
    if admin and scopes:
        fail("--admin has every scope: leave --scopes out", WRONG)
    terms = _terms(
        ["admin"] if admin else _list(scopes),
        expires,
        rate_limit=rate_limit,
        daily_quota=daily_quota,
        daily_credits=daily_credits,
        concurrent=concurrent,
    )
    if admin and not api_key:
        _made_here(name, terms, data, as_json=as_json)
        return
    with gateway(url, api_key) as client:
        _show_new(client.keys.create(name, **terms), as_json=as_json)


@app.command("set")
def change(
    key_id: KeyId,
    *,
    scopes: Scopes = None,
    expires: Days = None,
    rate_limit: Rate = None,
    daily_quota: Quota = None,
    daily_credits: Credits = None,
    concurrent: Concurrent = None,
    name: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    enabled: Annotated[
        bool | None, typer.Option(help="Whether it lets anybody in.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Change what a key may; it holds for the next request."""
    terms = _terms(
        _list(scopes),
        expires,
        rate_limit=rate_limit,
        daily_quota=daily_quota,
        daily_credits=daily_credits,
        concurrent=concurrent,
        name=name,
        enabled=enabled,
    )
    if not terms:
        fail("nothing to change: see --help", WRONG)
    with gateway(url, api_key) as client:
        found = client.keys.set(key_id, **terms)
    if as_json:
        print_json(found)
    else:
        print_table(HEADS, [_row(found)])


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        float, typer.Option(min=0, max=168, help="Hours the old one works as well.")
    ] = 0,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Replace a key by another with the same rights and tasks; printed this once."""
    with gateway(url, api_key) as client:
        made = client.keys.rotate(key_id, grace_secs=int(grace * 3600))
    _show_new(made, as_json=as_json)


@app.command()
def revoke(
    key_id: KeyId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Let a key in no more. Its tasks stay."""
    with gateway(url, api_key) as client:
        client.keys.revoke(key_id)
    if as_json:
        print_json({"ok": True})
    else:
        typer.echo(f"{key_id}: revoked")


def _terms(
    scopes: list[str] | None, expires: float | None, **more: Any
) -> dict[str, Any]:
    """Return what was given of a key's terms."""
    given = {name: value for name, value in more.items() if value is not None}
    if scopes:
        given["scopes"] = scopes
    if expires is not None:
        until = datetime.now(UTC) + timedelta(days=expires)
        given["expires_at"] = until.isoformat() if expires else None
    return given


def _list(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _row(key: "Shown") -> list[str]:
    limits = (key.rate_limit, key.daily_quota, key.daily_credits, key.concurrent)
    until = local_time(key.expires_at)
    return [
        key.id,
        key.name,
        f"{key.key_prefix}…",
        " ".join(key.scopes),
        *(str(limit) if limit else "-" for limit in limits),
        until if key.enabled else "disabled",
    ]


def _show_new(key: "Shown", *, as_json: bool) -> None:
    """Print the key alone to standard output, for scripts."""
    secret = key.key.get_secret_value() if key.key else ""
    if as_json:
        print_json(key.model_dump(mode="json") | {"key": secret})
        return
    typer.echo(secret)
    say(f"{key.name} ({key.id}). It is shown this once: keep it.")


# the first one, on the host


def _made_here(
    name: str, terms: dict[str, Any], data: Path | None, *, as_json: bool
) -> None:
    from contracts.keys import CreateKey, hash_of, new_key, prefix_of

    secret = new_key()
    wish = CreateKey(
        name=name,
        hash=hash_of(secret),
        prefix=prefix_of(secret),
        made_by=_user(),
        **terms,
    )
    made = _asked(wish, data)
    if as_json:
        told = made.model_dump(mode="json")
        print_json(told | {"key_prefix": made.prefix, "key": secret})
        return
    typer.echo(secret)
    say(f"{made.name} ({made.id}) may everything. It is shown this once: keep it.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return str(os.getuid())


def _asked(wish: "CreateKey", data: Path | None) -> "Key":
    from nats.errors import Error as NatsError

    from contracts.asking import ask
    from contracts.requests import RequestRefusedError
    from runtime.logs import scrub_text

    link = link_of(data, USER)

    async def run() -> "Key":
        async with connected(link, link.user or USER) as client:
            return await ask(lambda: client, wish, link.ask_seconds)

    try:
        return asyncio.run(run())
    except RequestRefusedError as no:
        fail(str(no))
    except (NatsError, OSError) as error:
        where = scrub_text(link.url)
        fail(f"no scheduler answers at {where} ({error!r}): is it running?", WRONG)
