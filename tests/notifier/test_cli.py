"""`jimeng webhooks`, from adding a receiver to sending something anew."""

import asyncio
import json
import os

import pytest

from contracts import requests as asked
from warm_command import run


@pytest.fixture
async def webhooks(stage, notifier, receiver, run_gateway, tmp_path):
    """Give the command, against a gateway whose receiver is allowed."""
    async with run_gateway(webhook_allow=receiver.place) as gateway:
        given = {"PATH": os.environ["PATH"], "JIMENG_GATEWAY_URL": gateway.url}
        where = (tmp_path, given | {"COLUMNS": "100"})

        async def webhooks(*arguments, stdin=""):
            words = ("webhooks", *arguments)
            status, out, err = await asyncio.to_thread(run, words, stdin, *where)
            return status, out, err

        yield webhooks


async def test_a_receiver_from_its_beginning_to_its_end(webhooks, stage, receiver):
    status, out, err = await webhooks("add", stdin=f"{receiver.origin}/?key=geheim\n")
    assert status == 0, err
    first, secret = out.splitlines()
    place = first.partition(":")[0]
    assert secret.startswith("whsec_")
    assert "geheim" not in out + err

    status, out, _ = await webhooks("test", place)
    assert (status, out) == (0, f"{place}: delivered\n")
    assert (await receiver.next()).verified(secret)["type"] == "test"
    receiver.answers = [500]
    status, out, _ = await webhooks("test", place)
    assert (status, out) == (1, f"{place}: it answered 500\n")
    await receiver.next()

    receiver.answers = [410]
    await stage.create()
    await stage.taken(1)
    await stage.hands.ask(asked.CancelTask(task="t1"))
    delivery = (await receiver.next()).headers["webhook-id"]

    async def is_off():
        return "off: it answered 410" in (await webhooks("list"))[1]

    await stage.until(is_off, seconds=20)
    status, out, _ = await webhooks("deliveries", "--status", "failed", "--json")
    ids = [each["id"] for each in json.loads(out)["deliveries"]]
    assert ids[0] == delivery
    status, out, _ = await webhooks("deliveries", delivery)
    assert "1. " in out
    assert "410" in out

    assert (await webhooks("enable", place))[1] == f"{place}: on\n"
    status, out, err = await webhooks("replay", delivery)
    assert (status, "pending" in out) == (0, True), err
    assert (await receiver.next()).headers["webhook-id"] == delivery
    assert (await webhooks("rotate", place))[1].startswith("whsec_")
    assert (await webhooks("remove", place))[1] == f"{place}: removed\n"
    status, _, err = await webhooks("test", place)
    assert (status, err) == (1, "jimeng: there is no such webhook\n")


async def test_what_cannot_be_added_is_refused_in_words(webhooks, receiver):
    status, _, err = await webhooks("add", "http://10.0.0.1/")
    assert status == 2
    assert "not public" in err
    status, _, err = await webhooks("add", receiver.origin, "--events", "task.lost")
    assert status == 2
    assert "task.succeeded" in err
    status, _, err = await webhooks("add", stdin="\n")
    assert (status, err) == (2, "jimeng: no URL was given\n")
