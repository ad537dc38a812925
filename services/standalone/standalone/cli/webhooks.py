"""`jimeng webhooks`: who hears of tasks' ends and of notices, and what they got."""

import sys
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
    say,
)

if TYPE_CHECKING:
    from jimeng_client.models import Delivery, Webhook

HEADS = ["ID", "KIND", "URL", "EVENTS", "STATE", "DESCRIPTION"]
LOG_HEADS = ["ID", "TIME", "EVENT", "TASK", "WEBHOOK", "STATUS", "TRIES", "ERROR"]
app = typer.Typer(
    help="Add, list and test receivers of webhooks; look up and repeat deliveries.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
WebhookId = Annotated[
    str, typer.Argument(metavar="ID", help="As `jimeng webhooks list` says.")
]


@app.command("list")
def list_webhooks(
    *, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """List the standing receivers; of their URLs what is no secret."""
    with gateway(url, api_key) as client:
        found = client.webhooks.list()
    if as_json:
        print_json({"webhooks": [each.model_dump(mode="json") for each in found]})
        return
    print_table(HEADS, [_row(each) for each in found])
    if not found:
        say("No webhooks yet: add one with `jimeng webhooks add`.")


@app.command()
def add(
    receiver: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="Left out, it is read from standard input: it may be "
            "a secret, as those of chats are.",
        ),
    ] = None,
    *,
    kind: Annotated[
        str, typer.Option(help="standard, ntfy, dingtalk, wecom or slack.")
    ] = "standard",
    events: Annotated[
        str | None,
        typer.Option(
            help="With commas: task.*, notice.*, task.failed, …; else by kind"
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    with_secret: Annotated[
        bool,
        typer.Option(
            "--with-secret", help="Ask for ntfy's token, or DingTalk's secret, hidden."
        ),
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Add a receiver. Its secret is printed this once: keep it."""
    place = receiver or _asked("URL")
    terms: dict[str, Any] = {"kind": kind, "description": description}
    if events:
        terms["events"] = [each.strip() for each in events.split(",") if each.strip()]
    if with_secret:
        terms["secret"] = _asked("Secret")
    with gateway(url, api_key) as client:
        webhook, secret = client.webhooks.add(place, **terms)
    if as_json:
        told = webhook.model_dump(mode="json")
        print_json({"webhook": told, "secret": secret})
        return
    typer.echo(f"{webhook.id}: {clean(webhook.url)}")
    if secret:
        typer.echo(secret)
        say("This is its secret, shown this once: its webhooks are signed with it.")
    say(f"Try it with: jimeng webhooks test {webhook.id}")


def _asked(what: str) -> str:
    """Read a secret, hidden where somebody types it."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"{what} (hidden)", hide_input=True, err=True))
    if not (line := sys.stdin.readline().strip()):
        fail(f"no {what} was given", WRONG)
    return line


@app.command("test")
def check(
    webhook_id: WebhookId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Send a test, once, and say what became of it."""
    with gateway(url, api_key) as client:
        found = client.webhooks.test(webhook_id)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{webhook_id}: {clean(found.message)}")
    if found.ok is False:
        raise typer.Exit(FAILED)


def _switch(webhook_id: str, url: str, api_key: str | None, *, enabled: bool) -> None:
    with gateway(url, api_key) as client:
        webhook = client.webhooks.set(webhook_id, enabled=enabled)
    typer.echo(f"{webhook.id}: {_state(webhook)}")


@app.command()
def enable(
    webhook_id: WebhookId, *, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Switch a receiver on again."""
    _switch(webhook_id, url, api_key, enabled=True)


@app.command()
def disable(
    webhook_id: WebhookId, *, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Switch a receiver off; what it has not got yet is given up."""
    _switch(webhook_id, url, api_key, enabled=False)


@app.command()
def rotate(
    webhook_id: WebhookId,
    *,
    grace: Annotated[
        int, typer.Option(min=0, help="Seconds in which the old one signs too.")
    ] = 86_400,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make another secret, and print it this once."""
    with gateway(url, api_key) as client:
        typer.echo(client.webhooks.rotate(webhook_id, grace))


@app.command()
def remove(
    webhook_id: WebhookId, *, url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Tell a receiver nothing more; what it was told stays in the log."""
    with gateway(url, api_key) as client:
        client.webhooks.remove(webhook_id)
    typer.echo(f"{webhook_id}: removed")


@app.command()
def deliveries(
    delivery_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One of them, with its tries.")
    ] = None,
    *,
    task: Annotated[str | None, typer.Option(help="Of this task.")] = None,
    webhook: Annotated[str | None, typer.Option(help="To this receiver.")] = None,
    status: Annotated[
        str | None, typer.Option(help="pending, delivered or failed.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List what was told, the newest first; or show one delivery and its tries."""
    with gateway(url, api_key) as client:
        if delivery_id:
            _show(client.webhooks.delivery(delivery_id), as_json=as_json)
            return
        page = client.webhooks.deliveries(
            task=task, webhook=webhook, status=status, limit=limit
        )
    if as_json:
        print_json(page)
    else:
        print_table(LOG_HEADS, [_line(each) for each in page.deliveries])


@app.command()
def replay(
    delivery_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `jimeng webhooks deliveries` says.")
    ],
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Send an ended delivery anew, under its old id."""
    with gateway(url, api_key) as client:
        _show(client.webhooks.replay(delivery_id), as_json=as_json)


def _show(delivery: "Delivery", *, as_json: bool) -> None:
    if as_json:
        print_json(delivery)
        return
    print_table(LOG_HEADS, [_line(delivery)])
    for each in delivery.tries:
        what = each.status or "-"
        words = clean(each.error or each.response or "")
        line = f"{each.n}. {local_time(each.at)}  {what}  {each.took_ms} ms  {words}"
        typer.echo(line.rstrip())


def _row(webhook: "Webhook") -> list[str]:
    events = ",".join(webhook.events)
    state = _state(webhook)
    return [
        webhook.id,
        webhook.kind,
        webhook.url,
        events,
        state,
        webhook.description,
    ]


def _state(webhook: "Webhook") -> str:
    if not webhook.enabled:
        return f"off: {webhook.off_reason}" if webhook.off_reason else "off"
    since = webhook.failing_since
    return f"failing since {local_time(since)}" if since else "on"


def _line(delivery: "Delivery") -> list[str]:
    return [
        delivery.id,
        local_time(delivery.created_at),
        delivery.event,
        delivery.task or "-",
        delivery.webhook or "-",
        delivery.status,
        str(delivery.attempt),
        delivery.error or "",
    ]
