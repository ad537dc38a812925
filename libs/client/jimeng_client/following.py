"""Following a task: by its events, or by reading it where these do not come."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from jimeng_client.errors import GatewayError
from jimeng_client.events import Event, events
from jimeng_client.models import Task
from jimeng_client.transport import checked, told

FIRST_PAUSE = 0.3
LONGEST_PAUSE = 2.0
GROWTH = 1.3
PATIENCE = 120.0  # how long following outlives a gateway that restarts
MOST_BREAKS = 3  # in a row, without any news or sign of life between them
SILENCE = httpx.Timeout(45.0, connect=10.0)  # three signs of life have failed to come


class Following:
    """A task, followed up to its end.

    A stream that breaks off is opened again after the last id. Where it is refused, or
    does not stay open, as behind some proxies, the task is read again and again.
    """

    def __init__(
        self, http: httpx.Client, url: str, read: Callable[[str], Task], task: Task
    ) -> None:
        self._http = http
        self._url = url
        self._read = read
        self._task = task
        self._last_id: str | None = None
        self._breaks = 0
        self._until = 0.0

    def changes(self) -> Iterator[Task]:
        """Give the task now and at each change. Raises GatewayError."""
        yield self._task
        self._be_patient()
        while not self._task.ended and self._breaks < MOST_BREAKS:
            yield from self._by_events()
        yield from self._by_reading()

    # by its events

    def _by_events(self) -> Iterator[Task]:
        """Open the stream and read it as long as it lasts."""
        opened = False
        try:
            with self._stream() as answer:
                opened = True
                self._be_patient()
                for event in events(answer.iter_bytes()):
                    yield from self._take(self._on(event))
        except GatewayError as error:
            if not opened:
                self._on_refusal(error)
        if opened and not self._task.ended:
            self._breaks += 1
            time.sleep(FIRST_PAUSE * self._breaks)

    @contextmanager
    def _stream(self) -> Iterator[httpx.Response]:
        place = f"/api/v1/tasks/{self._task.id}/events"
        after = {"Last-Event-ID": self._last_id} if self._last_id else {}
        request = self._http.stream("GET", place, headers=after, timeout=SILENCE)
        with told(self._url), request as answer:
            kind = checked(answer).headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise GatewayError(answer.status_code, "no_stream", f"sent as {kind}")
            yield answer

    def _on_refusal(self, error: GatewayError) -> None:
        """Wait for a gateway that is away; of one that refuses, read instead."""
        if not error.temporary:
            self._breaks = MOST_BREAKS
        elif time.monotonic() > self._until:
            raise error
        else:
            time.sleep(LONGEST_PAUSE)

    def _on(self, event: Event | None) -> Task:
        """Return the task after an event; where that tells too little, it is read."""
        known = self._task
        if event is None:  # its place in the queue changes without an event
            self._breaks = 0
            return self._read_patiently() if known.status == "queued" else known
        self._last_id = event.id or self._last_id
        if event.name == "done":
            return known if known.ended else self._read_patiently()
        body = event.body["task"]
        if event.name in {"snapshot", "reset"}:
            return Task.model_validate(body)
        if body["revision"] <= known.revision:
            return known
        self._breaks = 0
        task = _merged(known, body)
        return self._read_patiently() if task.ended else task

    # by reading

    def _by_reading(self) -> Iterator[Task]:
        pause = FIRST_PAUSE
        while not self._task.ended:
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * GROWTH)
            for task in self._take(self._read_patiently()):
                pause = FIRST_PAUSE
                yield task

    def _read_patiently(self) -> Task:
        self._be_patient()
        while True:
            try:
                return self._read(self._task.id)
            except GatewayError as error:
                if not error.temporary or time.monotonic() > self._until:
                    raise
            time.sleep(LONGEST_PAUSE)

    def _be_patient(self) -> None:
        """Begin anew to count how long the gateway may be away."""
        self._until = time.monotonic() + PATIENCE

    def _take(self, task: Task) -> Iterator[Task]:
        if task != self._task:
            self._task = task
            yield task


def _merged(known: Task, body: dict[str, Any]) -> Task:
    """Return a task after a change; an event cuts the prompt, and knows less."""
    change = {name: value for name, value in body.items() if name != "prompt"}
    gone = {"queue_ahead": None, "waiting_for": None}
    return Task.model_validate({**known.model_dump(), **gone, **change})
