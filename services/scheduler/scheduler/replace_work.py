"""Another credential for a session: tested beside the present one, then promoted."""

from typing import cast

from contracts.pool import ReplaceCredential, SessionReply, SetProxy
from jimeng import Account, InvalidAccount
from jimeng.account import Region
from scheduler import pool_work
from scheduler.store import credentials
from scheduler.vault import Vault
from scheduler.work import refusal
from scheduler.writer import Turn


async def replace(turn: Turn, wish: ReplaceCredential, vault: Vault) -> SessionReply:
    """Keep a new credential as a candidate, and have it checked."""
    account = pool_work.parsed(wish.credential.get_secret_value())
    return await _candidate(turn, wish, account, vault, forced=wish.force)


async def set_proxy(turn: Turn, wish: SetProxy, vault: Vault) -> SessionReply:
    """Keep the present credential behind another proxy as a candidate."""
    await pool_work.load(turn, wish.id)
    present = await vault.open(turn.db, wish.id)
    region = cast("Region", present.region)
    account = Account(present.sessionid, region, present.web_id, present.user_id)
    try:
        account = account.through(wish.proxy.get_secret_value() if wish.proxy else None)
    except InvalidAccount as error:
        raise refusal(422, "invalid-proxy", str(error), "proxy") from None
    return await _candidate(turn, wish, account, vault)


async def _candidate(
    turn: Turn,
    wish: ReplaceCredential | SetProxy,
    account: Account,
    vault: Vault,
    *,
    forced: bool = False,
) -> SessionReply:
    """Keep a credential to be tested; asked again with one request id, it is the same.

    One at a time waits beside the one in use.
    """
    session = await pool_work.load(turn, wish.id)
    if wish.request:
        before = await credentials.asked_for(turn.db, session.id, wish.request)
        if before:
            return await pool_work.reply(turn, session.id, before.id)
    told = pool_work.told_of(account, vault, wish.request, forced=forced)
    held = await credentials.holder(turn.db, told.fingerprint)
    if held and held.session != session.id:
        raise await pool_work.taken(turn, held.session)
    if present := await credentials.in_use(turn.db, session.id):
        await credentials.retire_candidates(turn.db, session.id, but=present[0])
    row = await pool_work.insert_credential(turn, session.id, account, told, vault)
    return await pool_work.reply(turn, session.id, row)
