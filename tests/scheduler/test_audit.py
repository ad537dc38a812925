"""How long what operators did is on record."""

from datetime import UTC, datetime, timedelta

from contracts.audit import DeedAnswered, DeedAsked, ListDeeds


def deed(name, at):
    return DeedAsked(deed=name, actor="a", name="n", action="keys.create", at=at)


async def test_what_was_done_long_ago_is_forgotten(stage):
    async def on_record(*wanted):
        async def is_so():
            found = (await stage.hands.ask(ListDeeds())).deeds
            return {(each.deed, each.status) for each in found} == set(wanted)

        await stage.until(is_so)

    now = datetime.now(UTC)
    await stage.hands.emit(deed("old", now - timedelta(days=1, minutes=1)))
    await stage.hands.emit(deed("young", now - timedelta(hours=23)))
    await stage.hands.emit(DeedAnswered(deed="young", status=200))
    await on_record(("old", None), ("young", 200))
    await stage.app.stop()
    await stage.start_scheduler(audit_days=1)
    await on_record(("young", 200))
