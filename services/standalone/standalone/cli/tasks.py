"""`jimeng tasks` and `jimeng task`: what there is, and how it is doing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from standalone.cli.output import (
    DEFAULT_URL,
    ApiKey,
    AsJson,
    Url,
    clean,
    gateway,
    local_time,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from jimeng_client import Client, Task

LONGEST_PROMPT = 60


def tasks(
    *,
    statuses: Statuses = None,
    kind: OfKind = None,
    model: OfModel = None,
    key: OfKey = None,
    since: Since = None,
    until: Until = None,
    text: Words = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List tasks, the newest first."""
    wish = wanted(
        statuses=statuses,
        kind=kind,
        model=model,
        key=key,
        since=since,
        until=until,
        text=text,
    )
    with gateway(url, api_key) as client:
        page = client.list(limit=limit, **wish)
    if as_json:
        print_json(page)
        return
    print_table(["ID", "STATUS", "CREATED", "PROMPT"], [_row(t) for t in page.tasks])
    if page.next_cursor:
        of = f" of {page.total:,}" if page.total else ""
        say(f"The newest {len(page.tasks)}{of}: see --limit.")


def _row(task: "Task") -> list[str]:
    prompt = " ".join(task.prompt.split())
    if len(prompt) > LONGEST_PROMPT:
        prompt = prompt[: LONGEST_PROMPT - 1] + "…"
    return [task.id, task.status, local_time(task.created_at), prompt]


def task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Wait for it and save it here; all, in a folder."
        ),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait until it ends.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop it.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Show one task; or follow it to its end, save its video, cancel it."""
    with gateway(url, api_key) as client:
        if cancel:
            found = stop(client, task_id)
        elif follow or output:
            found = _follow(client, client.get(task_id), url)
        else:
            found = client.get(task_id)
        show(found, as_json=as_json)
        if output or follow:
            _finish(client, found, output)


def stop(client: "Client", task_id: str) -> "Task":
    """Cancel a task, and say what may still be charged."""
    done = client.cancel(task_id)
    if done.upstream_charged is True:
        say("Cancelled; the site charges for it all the same.")
    elif done.upstream_charged == "unknown":
        say("Cancelled; whether the site charges for it is not known yet.")
    return done.task


def _follow(client: "Client", found: "Task", url: str) -> "Task":
    from standalone.cli.progress import follow

    return follow(client, found, url)


def _finish(client: "Client", found: "Task", output: Path | None) -> None:
    from standalone.cli.progress import finish

    if saved := finish(client, found, output):
        say(f"Saved as {saved}")


def show(found: "Task", *, as_json: bool) -> None:
    """Print one task."""
    if as_json:
        print_json(found)
        return
    from standalone.cli.progress import describe, shape

    where = f", {describe(found)}" if not found.ended else ""
    lines = {
        "Task": found.id,
        "Status": f"{found.status}{where}",
        "Prompt": found.prompt,
        "Model": shape(found),
        "Files": ", ".join(file.name for file in found.files),
        "Created": local_time(found.created_at),
        "Deadline": local_time(found.deadline) if found.deadline else "",
        "Tries": _tries(found),
        "Retry of": found.retry_of or "",
        "Ended": local_time(found.finished_at) if found.ended else "",
        "Error": found.error_message or "",
        "Charged": _charged(found),
        "Video": found.video_url or "",
    }
    for name, value in lines.items():
        if value:
            typer.echo(f"{name + ':':10}{clean(value)}")
    for result in found.results if found.kind == "image" else ():
        typer.echo(f"{'Image:':10}{clean(result.url)}")
    if found.stage == "held":
        say("The site was asked for it again and again, and does not show it. Decide:")
        say(f"  jimeng resolve {found.id} resend   # send the same submit once more")
        say(f"  jimeng resolve {found.id} fail     # give it up; it may be charged")


def _tries(found: "Task") -> str:
    if found.attempt < 2:  # noqa: PLR2004 - one is no news
        return ""
    most = f" of at most {found.max_attempts}" if found.max_attempts else ""
    return f"{found.attempt}{most}"


def _charged(found: "Task") -> str:
    """Say what an ended task may have cost; of a good one it is clear."""
    if found.status not in {"failed", "cancelled"} or not found.attempt:
        return ""
    return {True: "yes", False: "no", None: "not known"}[found.upstream_charged]
