"""A downloader that is to be killed: stores one result, from the link it is given."""

import asyncio
import sys

from blobs import open_store
from contracts.values import Item
from downloader.domain import Place
from downloader.fetch import Fetcher
from downloader.storing import Shelf, Storing
from jimeng import Account, Jimeng, Upstream


async def store(origin, folder):
    async with Jimeng(Account.parse("0" * 32), Upstream(origin)) as site:
        shelf = Shelf(open_store(f"file:{folder}"))
        fetcher = Fetcher(site, lambda _: True, 10**9)
        storing = Storing(shelf, fetcher, None, "image", patient=True)
        item = Item(id="1", urls=(f"{origin}/f/a",))
        await storing.store(Place("0190a000", 0), item)


asyncio.run(store(*sys.argv[1:]))
