"""What a storm left behind, seen from outside: answers, events, ledger, rows, files."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from chaos.cluster import CAP, Cluster, database
from chaos.load import Answers

Json = dict[str, Any]
READ_AS_LOG = ("EVT", "LOG", "DLQ")
NOT_FOUND = 404


@dataclass
class World:
    """Everything the invariants are judged by."""

    accepted: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    rows: dict[str, Json] = field(default_factory=dict)
    """Task id -> what GET says of it; also of tasks nobody was told about."""
    events: dict[str, list[Json]] = field(default_factory=dict)
    """Task id -> every event in EVT's order, with its `subject`."""
    attempts: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    """Keys of the files clients sent with tasks that exist."""
    files: dict[str, str] = field(default_factory=dict)
    """Key -> sha256 of every file in the blob store."""
    remains: set[str] = field(default_factory=set)
    """Keys of those older than the gateway's process: whoever wrote them has died."""
    served: dict[str, str] = field(default_factory=dict)
    """Task id -> sha256 of the film as the gateway serves it."""
    ledger: dict[str, Json] = field(default_factory=dict)
    accounts: list[Json] = field(default_factory=list)
    active: dict[str, int] = field(default_factory=dict)
    """Session -> open attempts as the gateway counts them."""
    cap: int = CAP
    leaks: list[str] = field(default_factory=list)
    letters: int = 0
    stale: int = 0

    def public(self, task: str) -> list[Json]:
        """The task's public events, in EVT's order."""
        events = self.events.get(task, [])
        return [e for e in events if e["subject"].split(".")[3] == "scheduler"]

    def attempts_of(self, task: str) -> list[Json]:
        """The task's attempts."""
        return [a for a in self.attempts if a["task"] == task]


async def gather(cluster: Cluster, answers: Answers) -> World:
    """Look at everything; the services still run, and nothing happens any more."""
    assert cluster.client
    assert cluster.site
    texts = list(answers.texts)
    world = World(dict(answers.accepted), set(answers.refused), set(answers.cancelled))
    await _ask_gateway(cluster, world, texts)
    stream = cluster.client.jetstream()
    for name in READ_AS_LOG:
        messages = await _messages(stream, name)
        texts += [
            f"{subject} {body.decode(errors='replace')}" for subject, body in messages
        ]
        if name == "EVT":
            _sort_events(world, messages)
        if name == "DLQ":
            world.letters = len(messages)
    for name in ("CMD", "KV_workers", "KV_follow"):
        texts += await _last_of_each(stream, name)
    world.ledger = (await cluster.site.get("/_sim/ledger")).json()
    ours = set(cluster.sessions)
    accounts = (await cluster.site.get("/_sim/accounts")).json()
    world.accounts = [a for a in accounts if a["sessionid"] in ours]
    _read_database(cluster, world)
    blobs, since = cluster.data / "blobs", cluster.units["gateway-http"].started
    world.files = files_below(blobs)
    world.remains = {k for k in world.files if (blobs / k).stat().st_mtime < since}
    world.leaks = find_secrets(cluster.canaries, _places(cluster, texts))
    world.stale = sum(_stale(path) for path in cluster.outputs.glob("*.log"))
    return world


async def _ask_gateway(cluster: Cluster, world: World, texts: list[str]) -> None:
    ids = set(world.accepted) | world.refused
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = (await cluster.api.get("/api/v1/tasks", params=asked)).json()
        ids |= {task["id"] for task in page["tasks"]}
        cursor = page["next_cursor"]
    for task in sorted(ids):
        answer = await cluster.api.get(f"/api/v1/tasks/{task}")
        texts.append(answer.text)
        if answer.status_code == NOT_FOUND:
            continue
        answer.raise_for_status()
        row = world.rows[task] = answer.json()["task"]
        if row["status"] == "succeeded":
            world.served[task] = await _digest(cluster.api, row["video_url"])
    sessions = (await cluster.api.get("/api/v1/sessions")).json()["sessions"]
    texts.append(json.dumps(sessions))
    world.active = {s["label"]: s["active_tasks"] for s in sessions}


async def _digest(api: httpx.AsyncClient, url: str) -> str:
    found = hashlib.sha256()
    async with api.stream("GET", url) as answer:
        async for chunk in answer.aiter_bytes():
            found.update(chunk)
    return found.hexdigest() if answer.is_success else f"HTTP {answer.status_code}"


async def _messages(stream: JetStreamContext, name: str) -> list[tuple[str, bytes]]:
    """Return a stream's messages in order, without taking them away."""
    left = (await stream.stream_info(name)).state.messages
    found: list[tuple[str, bytes]] = []
    if not left:
        return found
    look = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60)
    reader = await stream.pull_subscribe(">", stream=name, config=look)
    while True:
        try:
            batch = await reader.fetch(500, timeout=2)
        except NatsTimeoutError:
            break
        found += [(m.subject, m.data) for m in batch]
        if batch[-1].metadata.num_pending == 0:
            break
    await reader.unsubscribe()
    return found


async def read_events(stream: JetStreamContext, world: World) -> None:
    """Read the events of all tasks."""
    _sort_events(world, await _messages(stream, "EVT"))


async def _last_of_each(stream: JetStreamContext, name: str) -> list[str]:
    info = await stream.stream_info(name, subjects_filter=">")
    found = []
    for subject in info.state.subjects or {}:
        message = await stream.get_last_msg(name, subject)
        found.append(f"{subject} {(message.data or b'').decode(errors='replace')}")
    return found


def _sort_events(world: World, messages: list[tuple[str, bytes]]) -> None:
    for subject, body in messages:
        parts = subject.split(".")
        if parts[1] == "task":
            event = json.loads(body) | {"subject": subject}
            world.events.setdefault(parts[2], []).append(event)


def _read_database(cluster: Cluster, world: World) -> None:
    world.attempts = database(cluster, "select * from attempts order by task, n")
    world.results = database(cluster, "select * from results")
    for row in database(cluster, "select job from tasks"):
        world.references |= {file["key"] for file in json.loads(row["job"])["files"]}


def files_below(folder: Path) -> dict[str, str]:
    """Return the key and sha256 of every file, unfinished ones included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found


def _places(cluster: Cluster, texts: list[str]) -> Iterable[tuple[str, bytes]]:
    """Yield everything a secret could have got into: (where, bytes)."""
    for text in texts:
        yield text[:120], text.encode()
    logs = cluster.data / "logs"
    outputs = [p for p in cluster.outputs.iterdir() if p.name != "site.log"]
    stored = cluster.data.glob("gateway.db*")
    for path in (*outputs, *logs.glob("*"), *stored):
        if path.is_file():
            yield path.name, path.read_bytes()


def find_secrets(
    canaries: Mapping[str, str], places: Iterable[tuple[str, bytes]]
) -> list[str]:
    """Return where a secret lies in the open, as it is or Base64 encoded."""
    forms = [(name, form) for name, s in canaries.items() for form in _forms(s)]
    return [
        f"{name} in {where}"
        for where, body in places
        for name, form in forms
        if form in body
    ]


def _forms(secret: str) -> list[bytes]:
    raw = secret.encode()
    # Its letters depend on where it stands in the text: three ways, edges cut off.
    shifted = [b64encode(b"\0" * n + raw)[4 if n else 0 : -4] for n in range(3)]
    return [raw, raw.hex().encode(), *shifted]


def _stale(path: Path) -> int:
    words = ("superseded", "stale", "fenced")
    lines = path.read_text(errors="replace").splitlines()
    return sum(any(word in line for word in words) for line in lines)
