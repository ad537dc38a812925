"""What must hold after a storm, each a function from the world to what is broken."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos.evidence import World
from contracts.values import TERMINAL

UNFINISHED = (".part", ".tag")


@dataclass(frozen=True)
class Broken:
    """One breach: of which invariant, by which task if it is one's, and how."""

    invariant: str
    text: str
    task: str | None = None

    def __str__(self) -> str:
        return f"{self.invariant} {self.task or ''} {self.text}".replace("  ", " ")


def judge(world: World) -> list[Broken]:
    """Return everything that is broken."""
    return [broken for check in CHECKS for broken in check(world)]


def every_task_ends_once(world: World) -> Iterator[Broken]:
    """I1: what was answered 201 ends exactly once; the row is the last public event."""
    for task in sorted({*world.accepted, *world.rows}):
        row = world.rows.get(task)
        if row is None:
            yield Broken("I1", "was answered 201 and does not exist", task)
            continue
        ends = [e["status"] for e in world.public(task) if e["status"] in TERMINAL]
        if len(ends) != 1:
            yield Broken("I1", f"ended {len(ends)} times: {ends or row['stage']}", task)
        last = world.public(task)[-1:]
        told = [(e["status"], e["revision"]) for e in last]
        if told != [(row["status"], row["revision"])]:
            now = (row["status"], row["revision"])
            yield Broken("I1", f"the row is {now}, the last event {told}", task)
    for task in sorted(world.refused & set(world.rows)):
        yield Broken("I1", "was said not to be accepted, and exists", task)
    for task in sorted(world.cancelled & set(world.rows)):
        if (status := world.rows[task]["status"]) != "cancelled":
            yield Broken("I1", f"a cancel was answered 200, and it is {status}", task)


def nothing_is_paid_twice(world: World) -> Iterator[Broken]:
    """I2: at most one charge for a task, and exactly one where it succeeded."""
    for submit_id, entry in sorted(world.ledger.items()):
        if len(entry["charges"]) > 1:
            task = _owner(world, submit_id)
            text = f"submit {submit_id} was charged {len(entry['charges'])} times"
            yield Broken("I2", text, task)
    for task, row in sorted(world.rows.items()):
        paid = charges(world, task)
        if paid > 1:
            yield Broken("I2", f"{paid} charges stand", task)
        if row["status"] == "succeeded" and paid != 1:
            yield Broken("I2", f"succeeded with {paid} charges", task)


def charges(world: World, task: str) -> int:
    """Count the charges of a task that were not given back."""
    entries = [world.ledger.get(a["submit_id"]) for a in world.attempts_of(task)]
    return sum(len(e["charges"]) - len(e["refunds"]) for e in entries if e)


def _owner(world: World, submit_id: str) -> str | None:
    tasks = (a["task"] for a in world.attempts if a["submit_id"] == submit_id)
    return next(tasks, None)


def no_charge_without_a_task(world: World) -> Iterator[Broken]:
    """I3: what was charged belongs to an attempt of a task that exists."""
    for submit_id, entry in sorted(world.ledger.items()):
        task = _owner(world, submit_id)
        if entry["charges"] and (task is None or task not in world.rows):
            yield Broken("I3", f"submit {submit_id} was charged and is nobody's", task)


def no_slot_leaks(world: World) -> Iterator[Broken]:
    """I4: no attempt is open after quiet; the cap held by the site's own count."""
    for attempt in world.attempts:
        if attempt["state"] != "ended":
            text = f"attempt {attempt['n']} is still {attempt['state']}"
            yield Broken("I4", text, attempt["task"])
    for label, active in sorted(world.active.items()):
        if active:
            yield Broken("I4", f"session {label} counts {active} active tasks")
    for account in world.accounts:
        if account["peak"] > world.cap:
            text = f"account {account['uid']} had {account['peak']} jobs at once"
            yield Broken("I4", f"{text}, the cap is {world.cap}")
        if account["running"]:
            yield Broken("I4", f"account {account['uid']} still has jobs running")


def files_and_rows_agree(world: World) -> Iterator[Broken]:
    """I5: every file has its row and every row its file; nothing is unfinished."""
    rows = {row["key"]: row for row in world.results}
    posters = {f"{r['task']}/poster-{r['index']}.jpg" for r in world.results}
    for key in world.files:
        task = key.partition("/")[0]
        if key in world.remains and task not in world.rows:
            continue  # swept an hour later
        if key.endswith(UNFINISHED) or "/." in key:
            yield Broken("I5", f"unfinished file {key}", task)
        elif task in world.rows and key not in {*rows, *posters, *world.references}:
            yield Broken("I5", f"file {key} belongs to no row", task)
    for key, row in sorted(rows.items()):
        if world.files.get(key) != row["sha256"]:
            found = "differs" if key in world.files else "is missing"
            yield Broken("I5", f"the file of row {key} {found}", row["task"])
    for task, row in sorted(world.rows.items()):
        mine = [r["sha256"] for r in world.results if r["task"] == task]
        if row["status"] == "succeeded" and world.served.get(task) not in mine:
            text = f"its film is served as {world.served.get(task)}"
            yield Broken("I5", text, task)
    for key in sorted(world.references - world.files.keys()):
        yield Broken("I5", f"reference {key} is missing", key.partition("/")[0])


def orphans(world: World) -> list[str]:
    """Return files of creates that were never answered; they are swept a day later."""
    return [key for key in world.files if key.partition("/")[0] not in world.rows]


def revisions_have_no_gap(world: World) -> Iterator[Broken]:
    """I6: in EVT's order revisions grow by one; each change of status is said."""
    for task in sorted(world.rows):
        events = world.public(task)
        revisions = [e["revision"] for e in events]
        if revisions != list(range(len(revisions))):
            yield Broken("I6", f"revisions are {revisions}", task)
        before = None
        for event in events:
            wanted = event["status"] if event["status"] != before else "progressed"
            if event["what"] != wanted:
                text = f"revision {event['revision']} says {event['what']}"
                yield Broken("I6", f"{text} where {wanted} happened", task)
            if before in TERMINAL:
                yield Broken("I6", f"something happened after {before}", task)
            before = event["status"]


def no_secret_is_seen(world: World) -> Iterator[Broken]:
    """I7: no credential, password or key anywhere but where it belongs."""
    for leak, times in sorted(Counter(world.leaks).items()):
        yield Broken("I7", f"{leak} ({times} times)")


def nothing_stays_unknown(world: World) -> Iterator[Broken]:
    """I10: nobody is left to wonder whether a task was sent."""
    for task, row in sorted(world.rows.items()):
        if row["stage"] in {"unknown", "held"}:
            yield Broken("I10", f"is {row['stage']}", task)


CHECKS: tuple[Callable[[World], Iterator[Broken]], ...] = (
    every_task_ends_once,
    nothing_is_paid_twice,
    no_charge_without_a_task,
    no_slot_leaks,
    files_and_rows_agree,
    revisions_have_no_gap,
    no_secret_is_seen,
    nothing_stays_unknown,
)
