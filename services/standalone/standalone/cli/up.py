"""`jimeng up`: the whole gateway in one process, until Ctrl-C."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

STOP_SECONDS = 9.0


def run(
    port: Annotated[
        int | None, typer.Option(help="Where to listen; 0 takes any free port.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder for everything that is kept.")
    ] = None,
    *,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Use a simulated site; costs nothing.")
    ] = False,
    no_dashboard: Annotated[
        bool, typer.Option("--no-dashboard", help="Without the dashboard.")
    ] = False,
) -> None:
    """Run the whole gateway in this process.

    Without --simulate it speaks to the real site, with your own accounts
    (`jimeng sessions add`).
    """
    del no_dashboard  # there is none yet
    raise typer.Exit(serve(port=port, data=data, simulate=simulate))


def serve(
    *,
    port: int | None,
    data: Path | None,
    simulate: bool,
    log_file: bool = False,
    once_up: Any = None,
) -> int:
    """Run until SIGTERM or Ctrl-C; return the exit status.

    `once_up` is awaited with the running system, and says whether to go on. With
    `log_file` the log lines go to DATA_DIR/logs/jimeng.log, to keep the terminal free.
    """
    from runtime import logs
    from runtime.settings import SettingsError, load, unknown_names
    from standalone.settings import StandaloneSettings

    given = {"port": port, "data_dir": data}
    if unknown := unknown_names():
        sys.stderr.write(f"jimeng: {', '.join(unknown)}: there is no such setting\n")
        return 2
    try:
        settings = load(
            StandaloneSettings, **{k: v for k, v in given.items() if v is not None}
        )
        if not log_file:
            logs.configure(settings.log_level, settings.log_format)
        return asyncio.run(_serve(settings, simulate, log_file, once_up))
    except* SettingsError as errors:
        for error in _leaves(errors):
            sys.stderr.write(f"jimeng: {error}\n")
    return 2


async def _serve(settings: Any, simulate: bool, log_file: bool, once_up: Any) -> int:  # noqa: FBT001
    from runtime.watchdog import watched
    from standalone.system import System

    stop = _Stop()
    system = System(settings, simulate=simulate)
    try:
        async with system:
            stop.starting = False
            if stop.wanted.is_set():
                return 0
            if log_file:
                _log_to_file(settings)
            _say_ready(system, settings, simulate=simulate)
            async with watched(lambda: system.alive):
                if once_up is None or await stop.unless(once_up(system)):
                    await stop.wanted.wait()
    except asyncio.CancelledError:
        if not stop.wanted.is_set():
            raise
    return 0


class _Stop:
    """What Ctrl-C and SIGTERM do: a start is cut off, a running system is left."""

    def __init__(self) -> None:
        from runtime.exits import end_within

        self._end_within = end_within
        self.wanted = asyncio.Event()
        self.starting = True
        self._main = asyncio.current_task()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, self._want)

    def _want(self) -> None:
        if self.wanted.is_set():
            return
        self.wanted.set()
        if self.starting and self._main:
            self._main.cancel()
        self._end_within(STOP_SECONDS)

    async def unless(self, work: Any) -> bool:
        """Return what work returns, or False as soon as a stop is wanted."""
        from contracts.ending import end

        task = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(self.wanted.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await end(waiting)
        if task.done():
            return bool(task.result())
        await end(task)
        return False


def _log_to_file(settings: Any) -> None:
    from runtime import logs

    file = settings.logs_dir / "jimeng.log"
    logs.configure(settings.log_level, "json", file.open("a", encoding="utf-8"))


def _say_ready(system: Any, settings: Any, *, simulate: bool) -> None:
    site = "a simulated site" if simulate else system.upstream or "the real site"
    sys.stdout.write(
        f"jimeng is ready at {system.url} ({system.started_in_seconds:.1f} s)\n"
        f"  API    {system.url}/docs\n"
        f"  data   {settings.data_dir}\n"
        f"  site   {site}\n"
    )
    sys.stdout.flush()


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
