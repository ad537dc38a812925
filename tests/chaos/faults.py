"""What goes wrong, when, and how it is done and undone. The seed decides everything."""

import asyncio
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from chaos import processes
from chaos.cluster import Cluster, database
from chaos.proxy import Proxy
from chaos.times import DESIGN, LATE_SECONDS, Times

FILLER = "filler"
FULL = b"no space left"
CLOCK_SECONDS = 3600
COPIES = 9  # of a fact; lost acks may make any number
SENDING_SECONDS = 1.0  # the site takes it then; the signer is killed before
LOOK_SECONDS = 0.02
DEPOSED_SECONDS, SLOW_SECONDS = 5.0, 0.3
TAKEN_SECONDS = 60.0
MARK = "Storm"
AIMED = {"midsend": "kill", "depose": "stop"}  # which kind these are, when counted
NETWORK = ("slow", "stall", "half_open", "cut", "reset", "cut_after")
# What the site answers instead; a submit's own troubles are asked for by its prompt.
SITE = {
    "history": ("html_502", "truncated", "reset", "html_404"),
    "upload_token": ("html_502", "reset"),
    "apply": ("html_502", "truncated"),
    "upload": ("reset", "html_502"),
    "commit": ("html_502", "reset", "truncated"),
    "submit": ("html_502", "truncated", "slow", "lose_response"),
    "download": ("truncated", "corrupt", "reset", "expired", "html_502"),
    "best_url": ("html_502", "reset"),
    "page": ("html_502", "reset"),
    "sdk": ("html_502", "reset"),
    "live": ("html_502", "reset"),
    "credits": ("html_502", "truncated"),
}


@dataclass(frozen=True)
class Event:
    """One thing that goes wrong: when, to what, how, and for how long."""

    at: float
    kind: str
    target: str
    how: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.2f}  {self.kind} {self.target} {self.how}{lasting}"


def plan(
    seed: int, kills: int, seconds: float, times: Times, services: list[str]
) -> list[Event]:
    """Return a storm's schedule, in order: the same for the same arguments."""
    rng = random.Random(f"faults {seed}")  # noqa: S311 - a schedule
    wanted: list[Event] = []

    def add(kind: str, target: str, how: str = "", lasting: float = 0.0) -> None:
        lasting = min(lasting, seconds * 0.6)
        at = rng.uniform(0, seconds - lasting)
        wanted.append(Event(at, kind, target, how, lasting))

    killable = [*services, "browser", "nats"]
    for number in range(kills):
        if number % len(killable) == 0:
            rng.shuffle(killable)
        add("kill", killable[number % len(killable)])
    for number in range(max(2, kills // 5)):
        long = number % 3 == 2  # longer than an unknown submit is looked for
        pause = (times.settle if long else times.lease) * rng.uniform(1.1, 2.0)
        add("stop", rng.choice(services), lasting=pause)
    for number in range(max(2, kills // 8)):
        long = number % 2 == 1
        pause = (times.settle if long else times.lease) * rng.uniform(1.1, 1.5)
        add("stop", "browser", lasting=pause)
    for _ in range(max(3, kills // 3)):
        link = rng.choice([*services, "site", "site"])
        add("net", link, rng.choice(NETWORK), _outage(rng, link, times))
    for _ in range(kills):
        kind = rng.choice(list(SITE))
        add("site", kind, rng.choice(SITE[kind]))
    for number in range(max(2, kills // 10)):
        add("disk", ("data", "nats")[number % 2], lasting=times.of(rng.uniform(20, 60)))
    for _ in range(max(1, kills // 10)):
        ahead = rng.choice(("+", "-"))
        add("clock", rng.choice(services), f"{ahead}{CLOCK_SECONDS}", seconds / 6)
    # Last, so that a seed's other faults stay as they were.
    _aim(add, kills, seconds, times, standby="scheduler-2" in services)
    return sorted(wanted, key=lambda event: event.at)


def _aim(
    add: Callable[..., None],
    kills: int,
    seconds: float,
    times: Times,
    *,
    standby: bool,
) -> None:
    """Add what is aimed at one window each, which chance alone seldom meets."""
    for _ in range(max(2, kills // 5)):
        add("midsend", "signer-sending", lasting=times.of(150))
    for _ in range(max(1, kills // 10)):
        add("again", "facts", lasting=max(seconds / 4, 2 * times.settle))
    for _ in range(max(2, kills // 8) if standby else 0):
        add("depose", "holder", lasting=times.of(250) + DEPOSED_SECONDS)


def _outage(rng: random.Random, link: str, times: Times) -> float:
    # Beyond the submit's time-out nothing of it may leave any more; NATS notices a
    # silent connection after two pings, 10 s.
    longest = 2 * times.of(DESIGN["SUBMIT_TIMEOUT_SECS"]) if link == "site" else 15.0
    return rng.uniform(0.1, 1.0) * longest


class Storm:
    """Does what a schedule says, and undoes all of it in the end."""

    def __init__(self, cluster: Cluster, events: list[Event]) -> None:
        self.cluster = cluster
        self.events = events
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []
        self.takeovers: list[float] = []  # seconds without a scheduler at work
        self._stopped: set[int] = set()
        self._do: dict[str, Callable[[Event], Awaitable[bool]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "net": self._net,
            "site": self._site,
            "disk": self._disk,
            "clock": self._clock,
            "midsend": self._midsend,
            "again": self._again,
            "depose": self._depose,
        }

    @property
    def skipped(self) -> list[str]:
        """What this machine does not let us do, and why."""
        found = []
        if not self.cluster.small and self._planned("disk"):
            found.append("disk full: needs root and mount")
        if not self.cluster.clock_library and self._planned("clock"):
            found.append("clock jumps: need Linux and a C compiler")
        return found

    def _planned(self, kind: str) -> bool:
        return any(event.kind == kind for event in self.events)

    async def run(self) -> None:
        """Let everything happen at its time; returns when the last has ended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for event in self.events:
                await asyncio.sleep(max(0.0, event.at - (time.monotonic() - began)))
                group.create_task(self._happen(event))

    async def _happen(self, event: Event) -> None:
        self.log.append((time.time(), str(event)))
        struck = await self._do[event.kind](event)
        name = f"{AIMED.get(event.kind, event.kind)} {event.target}"
        (self.done if struck else self.missed)[name] += 1

    async def calm(self) -> None:
        """Undo what is still wrong."""
        for pid in self._stopped:
            processes.send(pid, signal.SIGCONT)
        for proxy in self._proxies():
            proxy.heal()
        for folder in (self.cluster.data, self.cluster.store):
            (folder / FILLER).unlink(missing_ok=True)
        if self.cluster.clock_library:
            for name in self.cluster.services:
                self.cluster.clock_file(name).write_text("0\n")
        if self.cluster.site:
            with suppress(httpx.HTTPError):
                await self.cluster.site.delete("/_sim/faults")
        self.log.append((time.time(), "calm"))

    def _proxies(self) -> list[Proxy]:
        found = [*self.cluster.links.values(), self.cluster.site_link]
        return [proxy for proxy in found if proxy]

    def _pids(self, target: str) -> list[int]:
        if target != "browser":
            pid = self.cluster.units[target].pid
            return [pid] if pid else []
        signer = self.cluster.units["signer"].pid
        return processes.browsers_below(signer) if signer else []

    # the kinds

    async def _kill(self, event: Event) -> bool:
        if event.target == "browser":
            pids = self._pids("browser")[:1]
            for pid in pids:
                processes.send(pid, signal.SIGKILL)
            return bool(pids)
        at_work = self.cluster.holder() == event.target
        epoch = self.cluster.epoch()
        struck = self.cluster.units[event.target].kill()
        if struck and event.target == "nats":
            await self.cluster.nats_ready()
        if struck and at_work:
            await self._taken_over(epoch, TAKEN_SECONDS)
        return struck

    async def _stop(self, event: Event) -> bool:
        pids = self._pids(event.target)
        self._stopped |= set(pids)
        for pid in pids:
            processes.send(pid, signal.SIGSTOP)
        await asyncio.sleep(event.seconds)
        for pid in pids:
            processes.send(pid, signal.SIGCONT)
        self._stopped -= set(pids)
        return bool(pids)

    async def _net(self, event: Event) -> bool:
        site = event.target == "site"
        proxy = self.cluster.site_link if site else self.cluster.links[event.target]
        if proxy is None:
            return False
        match event.how:
            case "slow":
                proxy.slow(min(0.5, event.seconds / 10))
            case "stall":
                proxy.stall()
            case "half_open":
                proxy.half_open()
            case "cut_after":
                proxy.cut_after(2_000)
            case how:
                proxy.cut(reset=how == "reset")
                return True
        await asyncio.sleep(event.seconds)
        proxy.heal()
        return True

    async def _site(self, event: Event) -> bool:
        if self.cluster.site is None:
            return False
        fault = {"kind": event.target, "fault": event.how, "times": 2}
        fault |= {"seconds": LATE_SECONDS} if event.how == "slow" else {}
        answer = await self.cluster.site.post("/_sim/faults", json=fault)
        return answer.is_success

    async def _disk(self, event: Event) -> bool:
        if not self.cluster.small:
            return False
        folder = {"data": self.cluster.data, "nats": self.cluster.store}[event.target]
        await asyncio.to_thread(fill, folder / FILLER)
        await asyncio.sleep(event.seconds)
        (folder / FILLER).unlink(missing_ok=True)
        if event.target == "nats":
            await self._nats_again()
        return True

    async def _nats_again(self) -> None:
        """Restart nats-server, as an operator must whose disk was full.

        A stream that once could not be written refuses everything until then, also when
        there is room again (measured, 2.15.1).
        """
        nats = self.cluster.units["nats"]
        if FULL in nats.output.read_bytes() and nats.pid:
            processes.send(nats.pid, signal.SIGKILL)
            self.done["full nats restarted"] += 1
            await asyncio.sleep(processes.RESTART_SECONDS * 2)
            await self.cluster.nats_ready()

    async def _clock(self, event: Event) -> bool:
        if not self.cluster.clock_library:
            return False
        file = self.cluster.clock_file(event.target)
        file.write_text(f"{event.how}\n")
        await asyncio.sleep(event.seconds)
        file.write_text("0\n")
        return True

    async def _midsend(self, event: Event) -> bool:
        """Kill the signer between a permit and the site's answer.

        The site is slow to take that submit, so that it takes it from one that is dead.
        """
        signer, site = self.cluster.units["signer"], self.cluster.site
        if site is None:
            return False
        slow = {"kind": "submit", "fault": "slow", "times": 1}
        with suppress(httpx.HTTPError):
            await site.post("/_sim/faults", json=slow | {"seconds": SENDING_SECONDS})
        before = self._sending()
        until = time.monotonic() + event.seconds
        while time.monotonic() < until:
            if self._sending() - before:
                await asyncio.sleep(SENDING_SECONDS / 2)
                return signer.kill()
            await asyncio.sleep(LOOK_SECONDS)
        return False

    def _sending(self) -> set[str]:
        """The tasks whose submit has a permit, and no answer yet."""
        with suppress(sqlite3.Error):  # its disk may be full
            sending = "select id from tasks where stage = 'sending'"
            return {row["id"] for row in database(self.cluster, sending)}
        return set()

    async def _again(self, event: Event) -> bool:
        """Deliver each fact of the workers several times, as NATS may."""
        client = self.cluster.client
        assert client

        async def repeat(message: Msg) -> None:
            ours = MARK in (message.headers or {})
            if ours or message.subject.split(".")[3] == "scheduler":
                return
            for _ in range(COPIES):
                with suppress(NatsError):
                    await client.publish(
                        message.subject, message.data, headers={MARK: "again"}
                    )

        heard = await client.subscribe("evt.task.*.*.*", cb=repeat)
        await asyncio.sleep(event.seconds)
        with suppress(NatsError):
            await heard.unsubscribe()
        return True

    async def _depose(self, event: Event) -> bool:
        """Freeze the scheduler at work until another has taken over; wake it, slow.

        What it still said then would come late.
        """
        until = time.monotonic() + event.seconds - DEPOSED_SECONDS
        name = await self._relieved(until - 10 * self.cluster.times.lease)
        if not name or not (pid := self.cluster.units[name].pid):
            return False
        link = self.cluster.links[name]
        epoch = self.cluster.epoch()
        self._stopped.add(pid)
        processes.send(pid, signal.SIGSTOP)
        await self._taken_over(epoch, until - time.monotonic())
        deposed = self.cluster.holder() not in {name, None}
        link.slow(SLOW_SECONDS)
        processes.send(pid, signal.SIGCONT)
        self._stopped.discard(pid)
        await asyncio.sleep(DEPOSED_SECONDS)
        link.heal()
        return deposed

    async def _taken_over(self, epoch: int, seconds: float) -> None:
        """Wait until a scheduler has taken the lease, and note how long that took.

        Not where there was nobody who could have, all of them frozen or dead.
        """
        began, somebody = time.monotonic(), True
        while epoch and time.monotonic() - began < seconds:
            if self.cluster.epoch() > epoch:
                self.takeovers += [time.monotonic() - began] * somebody
                return
            pids = [self.cluster.units[name].pid for name in self.cluster.slots()]
            somebody = somebody and any(pid not in self._stopped for pid in pids)
            await asyncio.sleep(LOOK_SECONDS)

    async def _relieved(self, until: float) -> str | None:
        """Return the scheduler at work as soon as there is one that waits."""
        while time.monotonic() < until:
            if (name := self.cluster.holder()) and len(self.cluster.slots()) > 1:
                return name
            await asyncio.sleep(LOOK_SECONDS)
        return None


def fill(file) -> None:
    """Write until nothing more fits; only for a small file system of our own."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    out.write(bytes(size))
