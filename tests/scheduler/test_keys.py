"""API keys: what the table and the bucket make of what operators ask."""

from datetime import UTC, datetime, timedelta

import pytest
from nats.js.errors import NotFoundError

from contracts.audit import ListDeeds
from contracts.keys import (
    CreateKey,
    DeleteKey,
    Key,
    KeyEntry,
    ListKeys,
    ReadKey,
    RotateKey,
    SetKey,
    hash_of,
    new_key,
    prefix_of,
)
from contracts.requests import RequestRefusedError

LATER = datetime.now(UTC) + timedelta(days=1)


def fresh(kind, secret, **more):
    return kind(hash=hash_of(secret), prefix=prefix_of(secret), **more)


async def made(stage, secret, **more) -> Key:
    return await stage.hands.ask(fresh(CreateKey, secret, name="farm", **more))


async def known(stage, secret):
    """What the gateways know of a key, at once."""
    subject = KeyEntry(hash=hash_of(secret)).subject
    try:
        js = stage.hands.jetstream
        found = await js.get_last_msg(KeyEntry.STREAM, subject, direct=True)
    except NotFoundError:
        return None
    return KeyEntry.parse(found.data).key


async def test_who_made_or_changed_a_key_finds_the_gateways_knowing_it(stage):
    secret = new_key()
    key = await made(stage, secret, scopes=("task:read",), rate_limit=5)
    assert await known(stage, secret) == key
    assert (key.name, key.scopes, key.rate_limit) == ("farm", ("task:read",), 5)
    wish = SetKey(id=key.id, enabled=False, expires_at=LATER, scopes=("admin",))
    changed = await stage.hands.ask(wish)
    assert await known(stage, secret) == changed
    assert (changed.enabled, changed.expires_at) == (False, LATER)
    assert changed.rate_limit == 5
    forever = await stage.hands.ask(SetKey(id=key.id, never_expires=True))
    assert forever.expires_at is None
    assert await stage.hands.ask(ReadKey(id=key.id)) == forever


async def test_a_key_asked_for_twice_is_one(stage):
    secret = new_key()
    assert await made(stage, secret) == await made(stage, secret)
    assert len((await stage.hands.ask(ListKeys())).keys) == 1


async def test_the_key_itself_is_stored_nowhere(stage):
    secret = new_key()
    key = await made(stage, secret)
    another = new_key()
    await stage.hands.ask(fresh(RotateKey, another, id=key.id, grace_seconds=60))
    files = [p for p in stage.data.rglob("*") if p.is_file()]
    files += [p for p in stage.nats.folder.rglob("*") if p.is_file()]
    text = b"".join(p.read_bytes() for p in files)
    assert hash_of(secret).encode() in text
    for each in (secret, another):
        assert each.removeprefix("gw_")[8:].encode() not in text


async def test_a_rotated_key_ends_at_once_or_after_its_grace(stage):
    first, second, third = new_key(), new_key(), new_key()
    key = await made(stage, first)
    rotated = await stage.hands.ask(fresh(RotateKey, second, id=key.id))
    assert await known(stage, first) is None
    assert await known(stage, second) == rotated
    assert (rotated.id, rotated.prefix) == (key.id, prefix_of(second))

    wish = fresh(RotateKey, third, id=key.id, grace_seconds=3600)
    once = await stage.hands.ask(wish)
    assert await stage.hands.ask(wish) == once
    old = await known(stage, second)
    assert old.expires_at == once.previous_until
    assert (await known(stage, third)).expires_at is None

    await stage.hands.ask(SetKey(id=key.id, enabled=False))
    assert not (await known(stage, second)).enabled
    await stage.hands.ask(fresh(RotateKey, new_key(), id=key.id))
    assert await known(stage, second) is await known(stage, third) is None


async def test_a_deleted_key_is_gone_but_not_what_it_was(stage):
    secret = new_key()
    key = await made(stage, secret)
    await stage.hands.ask(DeleteKey(id=key.id))
    assert await known(stage, secret) is None
    for wish in (ReadKey(id=key.id), SetKey(id=key.id), DeleteKey(id=key.id)):
        with pytest.raises(RequestRefusedError, match="no such key"):
            await stage.hands.ask(wish)
    assert (await stage.hands.ask(ListKeys())).keys == ()


async def test_the_bucket_is_made_anew_at_the_start(stage):
    """Of two backups, of NATS and of the database, one may be the older."""
    lost, stays, unheard = new_key(), new_key(), new_key()
    kept = await made(stage, stays)
    key = await made(stage, lost)
    await stage.app.stop()
    js = stage.hands.jetstream
    entry = KeyEntry(hash=hash_of(unheard), key=key)
    await js.publish(entry.subject, entry.body())
    await js.publish(KeyEntry(hash=hash_of(lost)).subject, b'{"hash": "x"}')
    await stage.start_scheduler()

    async def is_as_it_was():
        return await known(stage, lost) == key and not await known(stage, unheard)

    await stage.until(is_as_it_was)
    assert await known(stage, stays) == kept


async def test_a_key_made_on_the_host_is_on_record(stage):
    key = await made(stage, new_key(), made_by="ops")
    await made(stage, new_key())
    [deed] = (await stage.hands.ask(ListDeeds())).deeds
    assert (deed.actor, deed.action, deed.target) == ("host:ops", "keys.create", key.id)
    assert deed.status == 201
