"""Another credential for a session: tested beside the present one, then promoted."""

from contracts.pool import ReplaceCredential, SessionReply
from scheduler import pool_work
from scheduler.store import credentials
from scheduler.vault import Vault
from scheduler.writer import Turn


async def replace(turn: Turn, wish: ReplaceCredential, vault: Vault) -> SessionReply:
    """Keep a new credential as a candidate, and have it checked.

    Asked again with the same request id, it is the same candidate.
    """
    session = await pool_work.load(turn, wish.id)
    if wish.request:
        before = await credentials.asked_for(turn.db, session.id, wish.request)
        if before:
            return await pool_work.reply(turn, session.id, before.id)
    account = pool_work.parsed(wish.credential.get_secret_value())
    told = pool_work.told_of(account, vault, wish.request, forced=wish.force)
    held = await credentials.holder(turn.db, told.fingerprint)
    if held and held.session != session.id:
        raise await pool_work.taken(turn, held.session)
    present = await credentials.in_use(turn.db, session.id)
    if present:  # one candidate at a time waits beside it
        await credentials.retire_candidates(turn.db, session.id, but=present[0])
    row = await pool_work.insert_credential(turn, session.id, account, told, vault)
    return await pool_work.reply(turn, session.id, row)
