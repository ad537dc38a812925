"""What was used, counted from tasks and their attempts, also of deleted ones."""

from datetime import date

from sqlalchemy import String, and_, case, func, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.keys import OWNER
from contracts.usage import ReadUsage, Used
from contracts.values import TERMINAL
from scheduler.store.tables import attempts, keys, tasks

MOST = 3_000  # a message has at most 1 MB

_DAY = func.substr(type_coerce(tasks.c.created_at, String), 1, 10)
_BOUGHT = (
    select(func.count())
    .where(
        attempts.c.task == tasks.c.id,
        attempts.c.permitted_at.is_not(None),
        or_(attempts.c.charged.is_(None), attempts.c.charged.is_(True)),
        attempts.c.adopted.is_(False),
    )
    .scalar_subquery()
)
_UNBOUGHT_YET = and_(tasks.c.status.not_in(TERMINAL), _BOUGHT == 0)
_CREDITS = func.coalesce(tasks.c.terms["credits"].as_integer(), 0)


async def used(db: AsyncConnection, wish: ReadUsage) -> list[Used]:
    """Return what was used on some days; one more than MOST: there is still more."""
    query = (
        select(
            _DAY.label("day"),
            tasks.c.owner,
            keys.c.id.label("key"),
            keys.c.name,
            func.count().label("tasks"),
            *(
                func.sum(case((tasks.c.status == status, 1), else_=0)).label(status)
                for status in sorted(TERMINAL)
            ),
            func.sum(_CREDITS * case((_UNBOUGHT_YET, 1), else_=_BOUGHT)).label(
                "credits"
            ),
        )
        .outerjoin(keys, tasks.c.owner == OWNER + keys.c.id)
        .where(_text(wish.first) <= _DAY, _text(wish.last) >= _DAY)
        .group_by(_DAY, tasks.c.owner, keys.c.id, keys.c.name)
        .order_by(_DAY.desc(), tasks.c.owner)
        .limit(MOST + 1)
    )
    if wish.owner is not None:
        query = query.where(tasks.c.owner == wish.owner)
    return [
        Used.model_validate(dict(row)) for row in (await db.execute(query)).mappings()
    ]


def _text(day: date) -> str:
    return day.isoformat()
