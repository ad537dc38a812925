"""The state of the simulated site, in memory and on disk."""

import base64
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel

from simulator.errors import RefusedError
from simulator.faults import Faults
from simulator.records import Entry, Job, Movement, Upload
from simulator.settings import Account, Settings
from simulator.store import Store
from simulator.studio import Studio
from simulator.timeline import FAILED
from simulator.traffic import Traffic

Record = TypeVar("Record", bound=BaseModel)


class World:
    """Accounts, jobs, uploads and the ledger; every change is written through."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.knobs = settings.knobs.model_copy(deep=True)
        self.store = Store(settings.data / "simulator.sqlite3")
        self.traffic = Traffic()
        self.faults = Faults()
        self.secret = base64.b64decode(self._remembered("secret", _new_secret()))
        self.offset = float(self._remembered("offset", "0"))
        self._load()
        self.studio = Studio(settings, self.upload_path)

    def _remembered(self, name: str, default: str) -> str:
        if (value := self.store.get("meta", name)) is None:
            self.store.put("meta", name, value := default)
        return value

    def _load(self) -> None:
        self.accounts = {one.sessionid: one for one in self._read("account", Account)}
        self.jobs = {job.id: job for job in self._read("job", Job)}
        self.uploads = {one.key: one for one in self._read("upload", Upload)}
        self.by_uri = {one.store_uri: one for one in self.uploads.values()}
        self.ledger = {one.submit_id: one for one in self._read("entry", Entry)}
        jobs = self.jobs.values()
        self.by_submit = {(job.uid, job.submit_id): job.id for job in jobs}
        self.by_item = {item: job.id for job in jobs for item in job.item_ids}
        self._open = set(self.jobs)
        self.peaks: Counter[str] = Counter()
        for account in self.settings.accounts:
            if account.sessionid not in self.accounts:
                self.save_account(account.model_copy(deep=True))

    def _read(self, kind: str, model: type[Record]) -> Iterator[Record]:
        return map(model.model_validate_json, self.store.all(kind))

    def now(self) -> float:
        """The simulator's time, which a test may advance; wall clock otherwise."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass at once: jobs run on, links and credentials expire."""
        self.offset += seconds
        self.store.put("meta", "offset", str(self.offset))

    def sign(self, *parts: str) -> str:
        """A keyed hash only this site can make: links, credentials, page keys."""
        message = "\n".join(parts).encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()

    def save_account(self, account: Account) -> None:
        """Keep an account, new or changed."""
        self.accounts[account.sessionid] = account
        self.store.put("account", account.sessionid, account.model_dump_json())

    def save_job(self, job: Job) -> None:
        """Keep a job, new or changed."""
        self.jobs[job.id] = job
        self.by_submit[job.uid, job.submit_id] = job.id
        self.by_item |= dict.fromkeys(job.item_ids, job.id)
        self._open.add(job.id)
        self.store.put("job", job.id, job.model_dump_json())

    def save_upload(self, upload: Upload) -> None:
        """Keep an upload's progress."""
        self.uploads[upload.key] = self.by_uri[upload.store_uri] = upload
        self.store.put("upload", upload.key, upload.model_dump_json())

    def save_entry(self, entry: Entry) -> None:
        """Keep a line of the ledger."""
        self.ledger[entry.submit_id] = entry
        self.store.put("entry", entry.submit_id, entry.model_dump_json())

    def upload_path(self, key: str) -> str:
        """Where the bytes of an upload lie."""
        return str(self.settings.data / "uploads" / self.uploads[key].file_name)

    def job_of(self, uid: str, submit_id: str) -> Job | None:
        """The account's job under the client's own id, if it has one."""
        job_id = self.by_submit.get((uid, submit_id))
        return self.jobs[job_id] if job_id else None

    def running(self, uid: str) -> int:
        """How many jobs of the account occupy a place now."""
        self._open = {each for each in self._open if self.unfinished(self.jobs[each])}
        return sum(self.jobs[each].uid == uid for each in self._open)

    def note_peak(self, uid: str) -> None:
        """Remember the most places the account has occupied since the start."""
        self.peaks[uid] = max(self.peaks[uid], self.running(uid))

    def unfinished(self, job: Job) -> bool:
        """Whether the job still waits, generates, or its file is still being made."""
        if self.now() < job.times.done:
            return True
        return not job.fails and not self.studio.finished(job)

    def started_today(self, uid: str) -> int:
        """How many jobs the account began on this day (UTC)."""
        today = _day(self.now())
        times = (job.times.created for job in self.jobs.values() if job.uid == uid)
        return sum(_day(created) == today for created in times)

    def settle(self, job: Job) -> None:
        """Give credits back once, when a failed job is first seen ended."""
        if self.studio.broken(job) and not job.fails:
            job.end_status, job.fail_code = FAILED, "2002"
        if not job.fails or job.settled or self.now() < job.times.done:
            return
        job.settled = True
        self.save_job(job)
        if self.knobs.refund_failed:
            self._refund(job)

    def _refund(self, job: Job) -> None:
        account = self.account_by_uid(job.uid)
        account.credits.gift += job.cost
        self.save_account(account)
        entry = self.ledger[job.submit_id]
        entry.refunds.append(Movement(amount=job.cost, at=self.now(), job_id=job.id))
        self.save_entry(entry)

    def account_by_uid(self, uid: str) -> Account:
        """The account a job belongs to."""
        for account in self.accounts.values():
            if account.uid == uid:
                return account
        raise RefusedError("1015")

    def close(self) -> None:
        """Let go of the file; the studio is closed by whoever runs the loop."""
        self.store.close()


def new_id(digits: int = 13) -> str:
    """A numeric id as the site's are: 13 digits for a job, 19 for an item."""
    return f"7{secrets.randbelow(10 ** (digits - 1)):0{digits - 1}d}"


def _new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
