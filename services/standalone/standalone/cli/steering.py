"""`jimeng cancel`, `retry` and `resolve`: what a person decides about a task."""

from enum import StrEnum
from typing import Annotated

import typer

from standalone.cli.output import (
    DEFAULT_URL,
    ApiKey,
    AsJson,
    Url,
    gateway,
    how_to_follow,
    say,
)
from standalone.cli.tasks import show, stop

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]


class Action(StrEnum):
    """How a hold ends."""

    resend = "resend"
    fail = "fail"


def cancel(
    task_id: TaskId,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Stop a task. What the site has begun it may finish, and charge."""
    with gateway(url, api_key) as client:
        show(stop(client, task_id), as_json=as_json)


def retry(
    task_id: TaskId,
    *,
    again: Annotated[
        bool,
        typer.Option("--again", help="Buy it anew, whatever the site may have of it."),
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="Another prompt; this buys anew, too.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make an ended task anew, as a task of its own.

    What the site may have of it is looked for first, and taken over: it is not paid
    for twice.
    """
    with gateway(url, api_key) as client:
        found = client.retry(task_id, again=again, prompt=prompt)
    show(found, as_json=as_json)
    say(f"Follow it with: {how_to_follow(found.id, url)}")


def resolve(
    task_id: TaskId,
    action: Annotated[
        Action,
        typer.Argument(
            metavar="resend|fail",
            help="resend: the same submit once more; fail: give it up.",
        ),
    ],
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """End a hold: nobody knows whether the site has taken this task's submit."""
    with gateway(url, api_key) as client:
        show(client.resolve(task_id, action.value), as_json=as_json)
