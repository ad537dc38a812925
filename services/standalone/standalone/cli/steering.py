"""`jimeng cancel`, `retry`, `resolve`, `delete`: what a person decides about tasks."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from standalone.cli.filters import (
    OfKey,
    OfKind,
    OfModel,
    Since,
    Statuses,
    Until,
    Words,
    wanted,
)
from standalone.cli.many import All, Yes, one_or_many, steer, sure
from standalone.cli.output import (
    DEFAULT_URL,
    WRONG,
    ApiKey,
    AsJson,
    Url,
    clean,
    fail,
    gateway,
    how_to_follow,
    say,
)
from standalone.cli.tasks import show, stop

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]


MaybeTaskId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The task's id.")
]


class Action(StrEnum):
    """How a hold ends."""

    resend = "resend"
    fail = "fail"


def cancel(
    task_id: MaybeTaskId = None,
    *,
    every: All = False,
    statuses: Statuses = None,
    kind: OfKind = None,
    model: OfModel = None,
    key: OfKey = None,
    since: Since = None,
    until: Until = None,
    text: Words = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Stop a task, or with --all every unfinished one that fits.

    What the site has begun it may finish, and charge.
    """
    wish = wanted(
        statuses=statuses,
        kind=kind,
        model=model,
        key=key,
        since=since,
        until=until,
        text=text,
    )
    many = one_or_many(task_id, every=every, filtered=bool(wish))
    with gateway(url, api_key) as client:
        if many:
            steer(client.cancel_all, "Cancel", wish, yes=yes, as_json=as_json)
        else:
            show(stop(client, task_id or ""), as_json=as_json)


def delete(
    task_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ended tasks.")
    ],
    *,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Forget ended tasks, and delete their files."""
    count = len(task_ids)
    if not yes:
        sure(f"Delete {count} task{'s' * (count != 1)} and their files?")
    with gateway(url, api_key) as client:
        for task_id in task_ids:
            client.delete(task_id)
            typer.echo(f"{clean(task_id)} is deleted")


def retry(
    task_id: MaybeTaskId = None,
    *,
    again: Annotated[
        bool,
        typer.Option("--again", help="Buy it anew, whatever the site may have of it."),
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="Another prompt; this buys anew, too.")
    ] = None,
    every: All = False,
    statuses: Statuses = None,
    kind: OfKind = None,
    model: OfModel = None,
    key: OfKey = None,
    since: Since = None,
    until: Until = None,
    text: Words = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make an ended task anew, or with --all every failed one that fits, once.

    What the site may have of it is looked for first, and taken over: it is not paid
    for twice.
    """
    wish = wanted(
        statuses=statuses,
        kind=kind,
        model=model,
        key=key,
        since=since,
        until=until,
        text=text,
    )
    many = one_or_many(task_id, every=every, filtered=bool(wish))
    if many and prompt:
        fail("--prompt is for one task", WRONG)
    with gateway(url, api_key) as client:
        if many:
            ask = partial(client.retry_all, again=again)
            steer(ask, "Make anew", wish, yes=yes, as_json=as_json)
            return
        found = client.retry(task_id or "", again=again, prompt=prompt)
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
