"""`jimeng`: the registry of the commands; each is loaded when it is used.

A command file has a function with typer's annotations, named in COMMANDS:

    def run(name: Annotated[str, typer.Argument(help="Whom to greet.")]) -> None:
        \"\"\"Say hello.\"\"\"
        from greeting import hello  # what is heavy is imported here

or an `app = typer.Typer()` with commands of its own. Exit statuses: 0 it is done,
1 it failed, 2 it was asked wrongly or nobody answers, 130 Ctrl-C.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "up": ("up:run", "Start the gateway; --simulate tries it without an account."),
    "demo": ("demo:run", "Start it on a simulated site and make a first video."),
    "video": ("video:run", "Make a video and save it."),
    "image": ("image:run", "Make images and save them."),
    "tasks": ("tasks:tasks", "List tasks, the newest first."),
    "task": ("tasks:task", "Show, follow, save or cancel one task."),
    "cancel": ("steering:cancel", "Stop a task, or every one that fits."),
    "retry": ("steering:retry", "Make an ended task anew; nothing is paid for twice."),
    "delete": ("steering:delete", "Forget ended tasks, and delete their files."),
    "models": ("models:run", "List the models and what each can do."),
    "resolve": ("steering:resolve", "Send a held task once more, or give it up."),
    "sessions": ("sessions:app", "Add, list, test and remove your accounts."),
    "keys": ("keys:app", "Make, list, change and revoke the keys of your clients."),
    "webhooks": ("webhooks:app", "Who hears of tasks and notices, and what they got."),
    "rotate-key": ("rotate_key:run", "Seal the credentials with a new secret."),
    "simulator": ("simulator:run", "Run the simulated site by itself."),
    "provision": ("provision:run", "Create or update what the services need in NATS."),
    "dlq": ("dlq:app", "List, show, put back or drop what no retry helped."),
    "nats": ("nats:run", "Connect the nats command line to the running gateway."),
}


class _Commands(TyperGroup):
    """A listing shows the registry's lines; what is called is loaded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=line, rich_markup_mode=None)
            for name, (_, line) in COMMANDS.items()
        }

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, Any, list[str]]:
        """Find the command that was called, and load it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name else listed, rest


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"standalone.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(name)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they show variables, and so secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        from importlib.metadata import version

        typer.echo(f"jimeng-gateway {version('jimeng-gateway')}")
        raise typer.Exit


@app.callback()
def jimeng(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Make videos and images with your own Jimeng accounts, through your own gateway.

    First `jimeng up --simulate`, in another terminal `jimeng video "a fox in the
    snow"`. With accounts of your own: `jimeng up`, then `jimeng sessions add`.
    """
    del version


def main() -> None:
    """Run the command line."""
    app(prog_name="jimeng")


if __name__ == "__main__":
    main()
