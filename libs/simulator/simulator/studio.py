"""Makes the files of a job while its timeline runs: real MP4s and pictures."""

import asyncio
import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from simulator import canvas, ffmpeg
from simulator.catalogue import IMAGE_COUNT
from simulator.records import Job, Order
from simulator.settings import Settings

FPS = 24
_BEST_CRF, _PREVIEW_CRF = "18", "36"
"""Two encodes, so that the download link has more bits a second than the preview."""

_log = logging.getLogger(__name__)


class Studio:
    """Renders in child processes, a few at a time; files appear whole or not at all."""

    def __init__(self, settings: Settings, upload_path: Callable[[str], str]) -> None:
        self.folder = settings.data / "media"
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob("tmp*"):  # by a process that was killed
            shutil.rmtree(left)
        self._ffmpeg = ffmpeg.find(settings.ffmpeg)
        self._upload_path = upload_path
        self._slots = asyncio.Semaphore(settings.renders)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._made: set[str] = set()
        self._broken: set[str] = set()

    def start(self, job: Job) -> None:
        """Begin making the job's files, unless they exist or it will fail."""
        if not job.fails and job.clip not in self._tasks and not self.finished(job):
            self._tasks[job.clip] = asyncio.create_task(self._make(job))

    def finished(self, job: Job) -> bool:
        """Whether the files can be downloaded; a shared clip is waited for there."""
        if job.clip.startswith("shared-") or job.clip in self._made:
            return True
        if self.path(job, self.names(job)[-1]).exists():
            self._made.add(job.clip)
        return job.clip in self._made

    def broken(self, job: Job) -> bool:
        """Whether making the files failed, which only this machine can be guilty of."""
        return job.clip in self._broken

    async def ready(self, job: Job) -> None:
        """Wait until a shared clip, which was promised before it existed, is there."""
        if not self.path(job, self.names(job)[-1]).exists():
            self.start_shared(job)
            await self._tasks[job.clip]

    async def rendered(self, job: Job) -> None:
        """Wait until the job's files are made, or found impossible."""
        if task := self._tasks.get(job.clip):
            await asyncio.shield(task)

    def start_shared(self, job: Job) -> None:
        """Render the clip that instant jobs of one size have in common, once."""
        if job.clip not in self._tasks:
            self._tasks[job.clip] = asyncio.create_task(self._make(job))

    def names(self, job: Job) -> list[str]:
        """The files of a job, the one written last at the end."""
        if job.order.kind == "image":
            return [f"{number}.jpg" for number in range(1, IMAGE_COUNT + 1)]
        return ["cover.jpg", "preview.mp4", "best.mp4"]

    def path(self, job: Job, name: str) -> Path:
        """Where one of the job's files lies, or will."""
        return self.folder / f"{job.clip}-{name}"

    async def close(self) -> None:
        """Stop rendering; the children are killed."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _make(self, job: Job) -> None:
        async with self._slots:
            try:
                with TemporaryDirectory(dir=self.folder) as folder:
                    await self._render(job, Path(folder))
                self._made.add(job.clip)
            except (ffmpeg.FfmpegError, OSError):
                self._broken.add(job.clip)
                _log.exception("a file could not be made", extra={"job": job.id})
            finally:
                self._tasks.pop(job.clip, None)

    async def _render(self, job: Job, folder: Path) -> None:
        references = await self._stills(job.order, folder)
        if job.order.kind == "image":
            await asyncio.to_thread(_pictures, job, references, folder)
        else:
            await asyncio.to_thread(_drawings, job.order, references, folder)
            await ffmpeg.run(self._ffmpeg, *_film(job.order, folder))
        for name in self.names(job):
            (folder / name).replace(self.path(job, name))

    async def _stills(self, order: Order, folder: Path) -> list[Path]:
        """A picture of each reference; a video's first frame, none of a sound."""
        stills = []
        for index, reference in enumerate(order.references):
            path = Path(self._upload_path(reference.key))
            if reference.kind == "video":
                still = folder / f"still-{index}.png"
                await ffmpeg.run(self._ffmpeg, "-i", path, "-frames:v", "1", still)
                path = still
            stills.append(folder / "none" if reference.kind == "audio" else path)
        return stills


def shared_clip(order: Order) -> str:
    """The name of the clip that all instant jobs of this size and length share."""
    key = f"{order.kind} {order.width}x{order.height} {order.seconds} {order.has_audio}"
    return f"shared-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _pictures(job: Job, references: list[Path], folder: Path) -> None:
    for number in range(1, IMAGE_COUNT + 1):
        picture = canvas.frame(job.order, references, f"simulator {number}")
        picture.save(folder / f"{number}.jpg", quality=85)


def _drawings(order: Order, references: list[Path], folder: Path) -> None:
    picture = canvas.frame(order, references)
    picture.save(folder / "frame.bmp")
    cover = picture.copy()
    cover.thumbnail((720, 720), Image.Resampling.BILINEAR)
    cover.save(folder / "cover.jpg")
    canvas.marker(order).save(folder / "marker.png")


def _film(order: Order, folder: Path) -> list[str]:
    """Ffmpeg's arguments: the still, a disc crossing it, two encodes of both."""
    inputs = ["-v", "error"]
    for name in ("frame.bmp", "marker.png"):
        inputs += ["-framerate", str(FPS), "-i", str(folder / name)]
    if order.has_audio:
        tone = f"sine=frequency=440:duration={order.seconds}"
        inputs += ["-f", "lavfi", "-i", tone]
    outputs = _encode(order, "[preview]", _PREVIEW_CRF, folder / "preview.mp4")
    outputs += _encode(order, "[best]", _BEST_CRF, folder / "best.mp4")
    return [*inputs, "-filter_complex", _graph(order), *outputs]


def _graph(order: Order) -> str:
    across = f"x=(W-w)*t/{order.seconds}:y=H-h-8"
    still = "loop=loop=-1:size=1"
    return (
        f"[0]format=yuv420p,{still}[a];[1]format=yuva420p,{still}[b];"
        f"[a][b]overlay={across},trim=duration={order.seconds},split[preview][best]"
    )


def _encode(order: Order, label: str, crf: str, path: Path) -> list[str]:
    sound = ["-map", "2:a", "-c:a", "aac"] if order.has_audio else []
    picture = ["-map", label, "-c:v", "libx264", "-preset", "ultrafast", "-crf", crf]
    form = ["-pix_fmt", "yuv420p", "-r", str(FPS), "-movflags", "+faststart"]
    return [*picture, *sound, *form, str(path)]
