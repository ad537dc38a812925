"""`jimeng demo`: what `make run` does, the first video, end to end."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

PROMPT = "@1 在雪地里奔跑, 雪花飘落 – a fox runs through the snow"
PAGE_MODEL = "jimeng-video-seedance-2.0"
PLAIN_MODEL = "jimeng-video-3.0"


def run(
    port: Annotated[
        int | None, typer.Option(help="Where to listen; 0 takes any free port.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Its own data folder.")] = Path(
        ".run/demo"
    ),
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when the video is there.")
    ] = False,
) -> None:
    """Start the gateway on a simulated site, make one video, and go on serving."""
    status = 0

    async def first_video(system: Any) -> bool:
        nonlocal status
        status = await _make_video(system, data)
        if not once:
            sys.stdout.write("Serving until Ctrl-C.\n")
            sys.stdout.flush()
        return not once

    from standalone.cli.up import serve

    code = serve(
        port=port, data=data, simulate=True, log_file=True, once_up=first_video
    )
    raise typer.Exit(code or status)


async def _make_video(system: Any, data: Path) -> int:
    from standalone.picture import draw_fox

    picture, video = data / "fox.png", data / "fox.mp4"
    await asyncio.to_thread(draw_fox, picture)
    model = PAGE_MODEL
    if reason := await system.why_no_browser():
        sys.stdout.write(f"No browser, so a 3.0 video instead: {reason}\n")
        model = PLAIN_MODEL
    key = await system.demo_key()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "standalone.cli.app", "video", PROMPT),
        *("--model", model, "--image", str(picture), "--duration", "5"),
        *("--url", system.url, "-o", str(video)),
        env={**os.environ, **({"JIMENG_API_KEY": key} if key else {})},
        stdout=asyncio.subprocess.DEVNULL,  # the path alone, for scripts
    )
    try:
        code = await child.wait()
        if code == 0:
            sys.stdout.write(f"Your video: {video.resolve()}\n")
        return code
    finally:
        if child.returncode is None:
            child.terminate()
