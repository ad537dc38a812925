"""`jimeng dlq` against an embedded server, as the user that may do no more."""

import json
import re

import pytest
from nats.js.errors import NotFoundError

from contracts.bus import Bus
from contracts.tasks import UploadReferences
from standalone.nats_server import NatsServer

BAD = b'{"task": "t1", "authorization": "Bearer abcdef", "note": "sessionid=0123"}'


@pytest.fixture
async def server(tmp_path):
    async with NatsServer(tmp_path / "data", pytest.fail) as server:
        await server.provision()
        yield server


@pytest.fixture
async def scheduler(server):
    bus = Bus("scheduler", server.link("scheduler"), fatal=pytest.fail)
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def admin(server):
    bus = Bus("admin", server.link("admin"), fatal=pytest.fail)
    await bus.start()
    yield bus.jetstream
    await bus.stop()


@pytest.fixture
async def bury(server, scheduler, admin, until):
    """Give what sends a body to a worker that cannot read it."""
    bus = Bus("uploader", server.link("uploader"), fatal=pytest.fail)
    bus.consume(UploadReferences, concurrency=1)(_taken.append)
    await bus.start()

    async def send(body=BAD, task="t1"):
        subject = f"cmd.uploader.upload.{task}-1"

        async def dead():
            return await _is_there(admin, "DLQ", f"dlq.uploader.{subject}")

        await scheduler.send_raw(subject, body, f"first:{task}", task)
        await until(dead)

    yield send
    await bus.stop()


_taken: list[UploadReferences] = []


async def _is_there(js, stream, subject):
    try:
        return await js.get_last_msg(stream, subject)
    except NotFoundError:
        return None


async def test_dead_letters_are_listed_the_newest_first(nowhere, bury):
    await bury()
    await bury(b"{", "t2")

    ended = await nowhere("dlq", "list")
    one = await nowhere("dlq", "list", "--limit", "1", "--json")
    none = await nowhere("dlq", "list", "--service", "signer")

    head, *rows = [re.split(r"  +", line) for line in ended.out.splitlines()]
    assert head == ["SEQ", "AGE", "SERVICE", "SUBJECT", "REASON", "DETAIL"]
    assert [row[0] for row in rows] == ["2", "1"]
    assert rows[1][2:5] == ["uploader", "cmd.uploader.upload.t1-1", "unreadable"]
    assert rows[1][5].startswith("UnreadableError: attempt: Field required")
    assert [letter["sequence"] for letter in json.loads(one.out)] == [2]
    assert len(none.out.splitlines()) == 1


async def test_a_dead_letter_is_shown_without_its_secrets(nowhere, bury):
    await bury()

    shown = await nowhere("dlq", "show", "1")
    told = json.loads((await nowhere("dlq", "show", "1", "--json")).out)

    assert re.search(
        r"^Dlq-Subject: +cmd.uploader.upload.t1-1$", shown.out, re.MULTILINE
    )
    assert re.search(r"^Dlq-Deliveries: +1$", shown.out, re.MULTILINE)
    assert '"task": "t1"' in shown.out
    assert told["headers"]["Dlq-Reason"] == "unreadable"
    assert told["body"]["authorization"] == "***"
    for secret in ("abcdef", "0123"):
        assert secret not in shown.out + json.dumps(told)


async def test_what_is_no_json_is_shown_as_text(nowhere, bury):
    await bury(b"\xff token=abc \x1b[31m")

    shown = await nowhere("dlq", "show", "1")

    assert shown.out.endswith("\ufffd token=***  [31m\n")


async def test_a_dead_letter_is_put_back_with_an_id_of_its_own(
    nowhere, bury, admin, until
):
    await bury()
    before = await admin.get_last_msg("DLQ", "dlq.>")

    ended = await nowhere("dlq", "requeue", "1", "--json")

    told = [{"sequence": 1, "requeued": "cmd.uploader.upload.t1-1"}]
    assert (ended.status, json.loads(ended.out)) == (0, told), ended.err

    async def died_again():
        letter = await _is_there(admin, "DLQ", "dlq.>")
        return letter and letter.seq == 2 and letter

    again = await until(died_again)
    assert again.data == before.data
    assert again.headers["Dlq-Sequence"] != before.headers["Dlq-Sequence"]
    assert again.headers["correlation_id"] == "t1"
    assert (await admin.stream_info("DLQ")).state.messages == 1


async def test_one_whose_subject_is_occupied_stays_and_says_so(
    nowhere, bury, scheduler, server, admin
):
    await bury()
    await bury(task="t2")
    await admin.delete_consumer("CMD", "uploader-upload")  # so that nobody takes it
    await scheduler.send_raw("cmd.uploader.upload.t1-1", b"{}", "another", "t1")

    ended = await nowhere("dlq", "requeue", "1", "2")

    assert ended.status == 1
    assert "1: cmd.uploader.upload.t1-1 is still there" in ended.err
    assert ended.out == "2  requeued  cmd.uploader.upload.t2-1\n"
    assert await _is_there(admin, "DLQ", "dlq.uploader.cmd.uploader.upload.t1-1")
    kept = await admin.get_last_msg("CMD", "cmd.uploader.upload.t1-1")
    assert kept.data == b"{}"


async def test_one_that_was_put_back_but_not_taken_out_is_not_sent_twice(
    nowhere, bury, admin, until
):
    await bury()
    letter = await admin.get_last_msg("DLQ", "dlq.>")
    headers = {"Nats-Msg-Id": "requeue:1"}
    await admin.publish(letter.headers["Dlq-Subject"], BAD, headers=headers)

    async def died_again():
        return (await admin.stream_info("DLQ")).state.last_seq == 2

    await until(died_again)
    ended = await nowhere("dlq", "requeue", "1")

    assert ended.status == 0
    state = (await admin.stream_info("DLQ")).state
    assert (state.first_seq, state.last_seq) == (2, 2)


async def test_dead_letters_are_dropped_and_what_is_not_there_is_named(
    nowhere, bury, admin
):
    await bury()

    dropped = await nowhere("dlq", "drop", "1", "7")
    shown = await nowhere("dlq", "show", "1")

    assert (dropped.status, dropped.out) == (
        1,
        "1  dropped  cmd.uploader.upload.t1-1\n",
    )
    assert "7: there is no dead letter 7" in dropped.err
    assert (shown.status, shown.err) == (1, "jimeng: there is no dead letter 1\n")
    assert (await admin.stream_info("DLQ")).state.messages == 0


async def test_without_a_running_gateway_a_line_says_so(nowhere, tmp_path):
    never = await nowhere("dlq", "list")
    folder = tmp_path / "data" / "nats"
    folder.mkdir(parents=True)
    (folder / "users.json").write_text('{"dlq": "x"}')
    (folder / "url").write_text("nats://127.0.0.1:9\n")
    away = await nowhere("dlq", "list")

    assert (never.status, away.status) == (2, 2)
    assert "no gateway has run in" in never.err
    assert re.fullmatch(r"jimeng: NATS at nats://127.0.0.1:9: .+\n", away.err)
