"""The client: tasks and sessions of a gateway, as plain calls."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from jimeng_client.downloads import name_of, save
from jimeng_client.errors import GatewayError
from jimeng_client.following import Following
from jimeng_client.keys import Keys
from jimeng_client.models import (
    Batch,
    Cancelled,
    Checked,
    ModelInfo,
    Session,
    Task,
    TaskPage,
)
from jimeng_client.transport import checked, connect, told
from jimeng_client.webhooks import Webhooks

DEFAULT_URL = "http://127.0.0.1:5100"


class Client:
    """A connection to one gateway. Every method raises GatewayError.

    Usable as a context manager, which closes it.
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = connect(self.url, api_key)
        self.keys = Keys(self._ask)
        self.webhooks = Webhooks(self._ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    # tasks

    def create(
        self, prompt: str, *, files: Sequence[str | Path] = (), **wish: Any
    ) -> Task:
        """Ask for a video, or images; it is accepted when this returns.

        `wish` takes model, duration, ratio, resolution, function_mode, priority,
        metadata, max_attempts, deadline and buy_again. Files are streamed from where
        they lie; http and https URLs among them are fetched by the gateway. Raises
        OSError for a file that cannot be read.
        """
        given = {"prompt": prompt, **_given(wish)}
        if not files:
            return Task.model_validate(self._ask("POST", "tasks", json=given)["task"])
        with ExitStack() as opened:
            parts = [("files", _part(each, opened)) for each in files]
            answer = self._ask("POST", "tasks", data=_form(given), files=parts)
        return Task.model_validate(answer["task"])

    def get(self, task_id: str) -> Task:
        """Read one task."""
        return Task.model_validate(self._ask("GET", f"tasks/{task_id}")["task"])

    def list(
        self, *, limit: int = 50, cursor: str | None = None, **wanted: Any
    ) -> TaskPage:
        """List tasks, the newest first.

        `wanted` takes status (one or several), kind, model, key, owner, created_from,
        created_before, finished_from, finished_before, text and retried.
        """
        query = _given({**wanted, "limit": limit, "cursor": cursor})
        return TaskPage.model_validate(self._ask("GET", "tasks", params=query))

    def cancel(self, task_id: str) -> Cancelled:
        """Stop a task."""
        return Cancelled.model_validate(self._ask("POST", f"tasks/{task_id}/cancel"))

    def delete(self, task_id: str) -> None:
        """Forget an ended task, and delete its files."""
        self._ask("DELETE", f"tasks/{task_id}")

    def cancel_all(self, *, dry_run: bool = False, **wanted: Any) -> Batch:
        """Stop every task that fits, in one bounded piece.

        `wanted` is as in `list`; also limit, cursor, and `all` where nothing is given.
        Whoever wants them all asks again with `next_cursor` as cursor.
        """
        body = _given({**wanted, "dry_run": dry_run})
        return Batch.model_validate(self._ask("POST", "tasks/cancel", json=body))

    def retry_all(
        self, *, dry_run: bool = False, again: bool = False, **wanted: Any
    ) -> Batch:
        """Make every ended task that fits anew, once, in one bounded piece."""
        body = _given({**wanted, "dry_run": dry_run, "again": again})
        return Batch.model_validate(self._ask("POST", "tasks/retry", json=body))

    def link(
        self, task_id: str, index: int = 0, *, expires_in: int = 86_400, **more: str
    ) -> str:
        """Return a link to one result that needs no key, for so many seconds."""
        body = {"index": index, "expires_in": expires_in, **more}
        return str(self._ask("POST", f"tasks/{task_id}/links", json=body)["url"])

    def models(self, kind: str | None = None) -> tuple[ModelInfo, ...]:
        """List the models and what each of them can do."""
        found = self._ask("GET", "models", params=_given({"kind": kind}))["models"]
        return tuple(ModelInfo.model_validate(each) for each in found)

    def retry(self, task_id: str, *, again: bool = False, **changes: Any) -> Task:
        """Make an ended task anew; returns the new task.

        What the old one may have at the site is looked for first, and taken over.
        `again` buys it anew without looking, and so do `changes` of what is made:
        they are what `create` takes, with files as URLs only.
        """
        body = {**_given(changes), **({"again": True} if again else {})}
        answer = self._ask("POST", f"tasks/{task_id}/retry", json=body)
        return Task.model_validate(answer["task"])

    def resolve(self, task_id: str, action: Literal["resend", "fail"]) -> Task:
        """End a hold: send the same submit once more, or give it up."""
        body = {"action": action}
        answer = self._ask("POST", f"tasks/{task_id}/resolve", json=body)
        return Task.model_validate(answer["task"])

    def follow(self, task: Task | str) -> Iterator[Task]:
        """Give a task now and at each change, up to its end.

        By its events; a gateway that restarts meanwhile is waited for.
        """
        task = self.get(task) if isinstance(task, str) else task
        yield from Following(self._http, self.url, self.get, task).changes()

    def download(self, task: Task | str, path: str | Path, index: int = 0) -> Path:
        """Save what a task made, whole and verified or not at all."""
        found = self.get(task) if isinstance(task, str) else task
        result = next((r for r in found.results if r.index == index), None)
        if result is None:
            text = f"task {found.id} is {found.status} and has no result {index}"
            raise GatewayError(409, "not_succeeded", text)
        query = {"index": index} if index else {}
        place = f"/api/v1/tasks/{found.id}/video"
        with (
            told(self.url),
            self._http.stream("GET", place, params=query) as answer,
        ):
            return save(checked(answer), Path(path), result)

    def download_all(self, task: Task | str, folder: str | Path) -> tuple[Path, ...]:
        """Save everything a task made into a folder, each file whole and verified."""
        found = self.get(task) if isinstance(task, str) else task
        return tuple(
            self.download(found, Path(folder) / name_of(found, result), result.index)
            for result in found.results
        )

    # sessions

    def sessions_list(self) -> tuple[Session, ...]:
        """List the accounts of the pool."""
        found = self._ask("GET", "sessions")["sessions"]
        return tuple(Session.model_validate(each) for each in found)

    def sessions_add(
        self, credential: str, *, label: str = "", max_active: int | None = None
    ) -> Checked:
        """Add an account, `[proxy@][us-|hk-|jp-|sg-]<sessionid>`, and check it."""
        body: dict[str, Any] = {"session_id": credential, "label": label}
        if max_active is not None:
            body["max_active"] = max_active
        return Checked.model_validate(self._ask("POST", "sessions", json=body))

    def sessions_remove(self, session_id: str) -> None:
        """Take an account out of the pool."""
        self._ask("DELETE", f"sessions/{session_id}")

    def sessions_enable(self, session_id: str, *, enabled: bool = True) -> Session:
        """Let an account take tasks, or no longer."""
        body = {"enabled": enabled}
        found = self._ask("PATCH", f"sessions/{session_id}", json=body)
        return Session.model_validate(found["session"])

    def sessions_set(self, session_id: str, **changes: Any) -> Session:
        """Change how an account is used.

        `changes` takes max_active, daily_cap (0: none), weight, models (empty: every
        one) and label.
        """
        found = self._ask("PATCH", f"sessions/{session_id}", json=changes)
        return Session.model_validate(found["session"])

    def sessions_drain(self, session_id: str) -> Session:
        """Give an account no more tasks, and remove it when those on it have ended."""
        found = self._ask("POST", f"sessions/{session_id}/drain")
        return Session.model_validate(found["session"])

    def sessions_proxy(self, session_id: str, proxy: str | None) -> Checked:
        """Send an account's traffic through another proxy, once that is proven."""
        place = f"sessions/{session_id}/proxy"
        return Checked.model_validate(self._ask("PUT", place, json={"proxy": proxy}))

    def sessions_replace(
        self, session_id: str, credential: str, *, force: bool = False
    ) -> Checked:
        """Give an account a new credential; one that does not work is not taken."""
        body = {"session_id": credential, "force": force}
        place = f"sessions/{session_id}/credential"
        return Checked.model_validate(self._ask("PUT", place, json=body))

    def sessions_test(self, session_id: str) -> Checked:
        """Check an account now."""
        return Checked.model_validate(self._ask("POST", f"sessions/{session_id}/test"))

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        with told(self.url):
            answer = self._http.request(method, f"/api/v1/{path}", **content)
        return _object(checked(answer))


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        text = "not a gateway's answer: is the URL right?"
        raise GatewayError(answer.status_code, "not_a_gateway", text)
    return found


def is_url(file: str | Path) -> bool:
    """Whether a reference is a URL rather than a file's name."""
    return isinstance(file, str) and file.lower().startswith(("http://", "https://"))


def _part(file: str | Path, opened: ExitStack) -> tuple[str | None, Any]:
    """Return a reference as a part of a form: a URL is one without a file's name."""
    if is_url(file):
        return None, str(file)
    return Path(file).name, opened.enter_context(Path(file).open("rb"))


def _given(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None; a moment travels as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in wish.items()
        if value is not None
    }


def _form(wish: Mapping[str, Any]) -> dict[str, str]:
    """Write a wish as the texts of a form."""
    return {
        name: json.dumps(value) if isinstance(value, Mapping) else str(value)
        for name, value in wish.items()
    }
