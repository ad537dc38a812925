"""Another root secret: what was sealed with the one before is sealed anew."""

import asyncio
from datetime import UTC, datetime

import pytest

from contracts.values import Belonging, Job
from jimeng import Account
from runtime import hooks
from runtime.roots import roots
from runtime.sealing import Ring, SealError, previous_of, root_secret, rotate
from runtime.settings import SettingsError, load
from scheduler.domain.rows import Session, Task
from scheduler.rotation import rotate_key
from scheduler.settings import SchedulerSettings
from scheduler.store import credentials, sessions, tasks
from scheduler.store.credentials import Told
from scheduler.store.engine import database_url, reading, reading_engine, writing_engine
from scheduler.store.migrate import migrate
from scheduler.vault import Vault

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
ACCOUNT = Account.parse("0123456789abcdef0123456789abcdef")


JOB = Job(model="m", prompt="a fox", duration=5, ratio="16:9")
HOOK = hooks.Hook("http://hooks.example/?key=1", "geheim", "http://gateway.example")


def vault_of(given):
    return Vault(*roots(given, given.data_dir))


def ring_of(given):
    return Ring(hooks.PURPOSE, *roots(given, given.data_dir))


def settings(folder, **more):
    return load(SchedulerSettings, _env_file=None, data_dir=folder, **more)


async def keep(given):
    """Seal one account, as `add` does; return its row."""
    url = database_url("", given.data_dir)
    await asyncio.to_thread(migrate, url)
    engine, vault = writing_engine(url), vault_of(given)
    async with engine.begin() as db:
        session = Session("s", "mine", "active")
        await sessions.add(db, session, masked="0", has_proxy=False, now=NOW)
        told = Told(vault.fingerprint(ACCOUNT), "0", "cn", has_proxy=False)
        row = await credentials.add(db, "s", told, NOW)
        await credentials.seal(db, row, vault.seal(ACCOUNT, row))
        webhook = hooks.seal(ring_of(given), HOOK, "t", "shown")
        await tasks.create(db, Task("t", Belonging(), JOB, NOW, webhook=webhook), NOW)
    await engine.dispose()
    return row


async def opened(given):
    """Return what is kept, opened, and who holds the account by its fingerprint."""
    engine, vault = reading_engine(database_url("", given.data_dir)), vault_of(given)
    try:
        async with reading(engine) as db:
            found = await vault.open(db, "s")
            holder = await credentials.holder(db, vault.fingerprint(ACCOUNT))
            sealed = (await credentials.sealed(db))[0][1]
            webhook = (await tasks.load(db, "t")).webhook
        assert hooks.open_(ring_of(given), webhook, "t") == HOOK
    finally:
        await engine.dispose()
    return found.sessionid.get_secret_value(), holder and holder.session, sealed


async def test_a_new_file_opens_everything_and_the_old_one_nothing(tmp_path):
    given = settings(tmp_path)
    await keep(given)
    old = root_secret(None, tmp_path / "secret.key")
    before = (await opened(given))[2]

    assert await asyncio.to_thread(rotate_key, given) == 1

    found, holder, _ = await opened(given)
    assert (found, holder) == (ACCOUNT.sessionid.get_secret_value(), "s")
    assert not previous_of(tmp_path / "secret.key").exists()
    with pytest.raises(SealError):
        await opened(settings(tmp_path, secret_key=old))
    for file in tmp_path.iterdir():
        assert before not in file.read_bytes(), file


async def test_what_broke_off_in_between_is_open_and_is_finished(tmp_path):
    given = settings(tmp_path)
    await keep(given)
    rotate(tmp_path / "secret.key")  # and killed before anything was sealed anew
    assert (await opened(given))[0] == ACCOUNT.sessionid.get_secret_value()
    assert await asyncio.to_thread(rotate_key, given) == 1
    assert (await opened(given))[:2] == (ACCOUNT.sessionid.get_secret_value(), "s")


async def test_a_secret_of_the_environment_is_changed_there_first(tmp_path):
    old, new = "o" * 40, "n" * 40
    await keep(settings(tmp_path, secret_key=old))
    both = settings(tmp_path, secret_key=new, secret_key_previous=old)
    assert (await opened(both))[0] == ACCOUNT.sessionid.get_secret_value()
    with pytest.raises(SettingsError, match="SECRET_KEY_PREVIOUS"):
        await asyncio.to_thread(rotate_key, settings(tmp_path, secret_key=new))
    assert await asyncio.to_thread(rotate_key, both) == 1
    assert await asyncio.to_thread(rotate_key, both) == 0
    alone = await opened(settings(tmp_path, secret_key=new))
    assert alone[:2] == (ACCOUNT.sessionid.get_secret_value(), "s")


async def test_a_wrong_previous_secret_changes_nothing(tmp_path):
    await keep(settings(tmp_path, secret_key="o" * 40))
    wrong = settings(tmp_path, secret_key="n" * 40, secret_key_previous="x" * 40)
    with pytest.raises(SettingsError, match="SECRET_KEY_PREVIOUS"):
        await asyncio.to_thread(rotate_key, wrong)
    assert (await opened(settings(tmp_path, secret_key="o" * 40)))[1] == "s"


def test_without_a_database_there_is_nothing_to_seal(tmp_path):
    assert rotate_key(settings(tmp_path)) == 0
    assert [f.name for f in tmp_path.iterdir()] == ["secret.key"]
