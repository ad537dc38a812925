"""What a webhook says."""

import json
from datetime import UTC, datetime
from typing import Any

from contracts.requests import Task
from contracts.webhooks import Deliver, DueDelivery


def body_of(command: Deliver, due: DueDelivery) -> bytes:
    """Return what is sent."""
    return json.dumps(_standard(command, due), ensure_ascii=False).encode()


def links_of(due: DueDelivery) -> list[str]:
    """Return where the results are fetched."""
    return [each.get_secret_value() for each in due.links]


def _standard(command: Deliver, due: DueDelivery) -> dict[str, Any]:
    """The earlier gateway's fields, and `type` as Standard Webhooks has it."""
    task = due.task
    return {
        "type": due.occasion,
        "event": due.occasion,
        "delivery_id": command.delivery,
        "timestamp": _moment(due.at),
        **({"notice": due.notice.model_dump()} if due.notice else {}),
        "task": _task(task) if task else None,
        "result": _result(task, links_of(due)) if task else None,
        "error": _error(task) if task else None,
    }


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "kind": task.kind,
        "status": task.status,
        "revision": task.revision,
        "model": task.job.model,
        "prompt": task.job.prompt,
        "metadata": task.metadata,
        "retry_of": task.retry_of,
        "created_at": _moment(task.created_at),
        "started_at": _moment(task.started_at),
        "finished_at": _moment(task.finished_at),
    }


def _result(task: Task, links: list[str]) -> dict[str, Any] | None:
    if task.status != "succeeded" or task.files_deleted_at:
        return None
    video = task.kind == "video"
    return {
        "video_url": links[0] if video and links else None,
        "image_urls": [] if video else links,
    }


def _error(task: Task) -> dict[str, Any] | None:
    if task.status != "failed":
        return None
    return {
        "kind": task.error_kind,
        "code": task.error_code,
        "message": task.error_message,
    }


def _moment(moment: datetime | None) -> str | None:
    """Write a moment in UTC, to the millisecond (RFC 3339)."""
    if moment is None:
        return None
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
