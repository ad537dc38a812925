"""Pieces of work on API keys; each tells the bucket `keys`, which the gateways read."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from contracts import keys as asked
from contracts.audit import DeedAnswered, DeedAsked
from contracts.keys import Key, KeyEntry
from scheduler.store import audit, keys
from scheduler.store.keys import key_of
from scheduler.work import not_found
from scheduler.writer import Turn


async def create(turn: Turn, wish: asked.CreateKey) -> Key:
    """Let a new key in; asked twice, it is one key."""
    if known := await keys.by_hash(turn.db, wish.hash):
        return key_of(known)
    key_id = uuid.uuid4().hex[:12]
    await keys.add(turn.db, key_id, wish, turn.now)
    if wish.made_by:
        await _audit(turn, key_id, wish)
    return await _told(turn, key_id)


async def _audit(turn: Turn, key_id: str, wish: asked.CreateKey) -> None:
    """Put on record a key that was made past every gateway."""
    who = {"actor": f"host:{wish.made_by}", "name": wish.made_by}
    deed = DeedAsked(deed=f"key-{key_id}", action="keys.create", at=turn.now, **who)
    await audit.asked(turn.db, deed)
    done = DeedAnswered(deed=deed.deed, status=201, target=key_id, at=turn.now)
    await audit.answered(turn.db, done)


async def change(turn: Turn, wish: asked.SetKey) -> Key:
    """Change what a key may."""
    await _load(turn, wish.id)
    given = wish.model_dump(exclude={"id", "never_expires"}, exclude_none=True)
    if wish.never_expires:
        given["expires_at"] = None
    await keys.change(turn.db, wish.id, given | {"updated_at": turn.now})
    return await _told(turn, wish.id)


async def rotate(turn: Turn, wish: asked.RotateKey) -> Key:
    """Put another hash in the place of a key's; asked twice, it is done once."""
    row = await _load(turn, wish.id)
    if row.hash == wish.hash:
        return key_of(row)
    if row.previous_hash:  # the one before that has had its grace
        turn.say(KeyEntry(hash=row.previous_hash))
    grace = turn.now + timedelta(seconds=wish.grace_seconds)
    kept = {"previous_hash": row.hash, "previous_until": grace}
    if not wish.grace_seconds:
        kept = dict.fromkeys(kept)
        turn.say(KeyEntry(hash=row.hash))
    new = {"hash": wish.hash, "prefix": wish.prefix, "updated_at": turn.now}
    await keys.change(turn.db, wish.id, kept | new)
    return await _told(turn, wish.id)


async def delete(turn: Turn, wish: asked.DeleteKey) -> Key:
    """Let a key in no more; its row stays for what it used."""
    row = await _load(turn, wish.id)
    for hashed in filter(None, (row.hash, row.previous_hash)):
        turn.say(KeyEntry(hash=hashed))
    gone = dict.fromkeys(("hash", "previous_hash", "previous_until"))
    await keys.change(turn.db, wish.id, {**gone, "deleted_at": turn.now})
    return key_of(row)


async def tell_all(turn: Turn, known: set[str]) -> None:
    """Make the bucket, which has these hashes, what the table is."""
    told: set[str] = set()
    for row in await keys.every(turn.db):
        for entry in _entries(row, turn.now):
            told.add(entry.hash)
            turn.say(entry)
    for hashed in known - told:
        turn.say(KeyEntry(hash=hashed))


async def _load(turn: Turn, key_id: str) -> Row[Any]:
    if row := await keys.load(turn.db, key_id):
        return row
    raise not_found("key")


async def _told(turn: Turn, key_id: str) -> Key:
    """Tell the bucket how a key is now, and return it."""
    row = await _load(turn, key_id)
    for entry in _entries(row, turn.now):
        turn.say(entry)
    return key_of(row)


def _entries(row: Row[Any], now: datetime) -> list[KeyEntry]:
    """Return what the bucket holds of a key: it, and the one before in its grace."""
    key = key_of(row)
    found = [KeyEntry(hash=row.hash, key=key)]
    if row.previous_hash and row.previous_until > now:
        until = min(filter(None, (row.previous_until, key.expires_at)))
        old = key.model_copy(update={"expires_at": until})
        found.append(KeyEntry(hash=row.previous_hash, key=old))
    return found
