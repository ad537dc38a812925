"""Saving a result: under its name only once it is whole."""

from hashlib import sha256
from pathlib import Path

import httpx

from jimeng_client.errors import GatewayError
from jimeng_client.models import Result, Task

_ENDINGS = {"image/jpeg": "jpg", "video/quicktime": "mov"}  # else as the type says


def name_of(task: Task, result: Result) -> str:
    """Return what a result is called among others: `<task>-<index>.<ending>`."""
    ending = _ENDINGS.get(result.mime, result.mime.rpartition("/")[2])
    return f"{task.id}-{result.index}.{ending}"


def save(answer: httpx.Response, path: Path, result: Result) -> Path:
    """Write a result beside its place, verify it, move it there."""
    part = path.with_name(path.name + ".part")
    digest = sha256()
    try:
        with part.open("wb") as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
                digest.update(chunk)
        if digest.hexdigest() != result.sha256:
            text = "what arrived is not what the gateway stored: try again"
            raise GatewayError(0, "damaged", text)
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)
