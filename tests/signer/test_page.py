"""The page and its browser against the simulated site: what leaves, and what cannot."""

import asyncio
import os
import signal
import sys
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from time import monotonic

import pytest

import jimeng
from signer.domain import NotSentError
from signer.exit import Exit, Fence
from signer.page import PageNotReadyError
from simulator import DEMO_SESSIONS

pytestmark = pytest.mark.browser


def submission(account, **more):
    job = jimeng.fit(prompt="a cat", model="seedance-2.0-fast", **more)
    return jimeng.draft(
        job,
        [],
        submit_id=str(uuid.uuid4()),
        account=account,
        now=datetime.now(UTC),
        ids=lambda: str(uuid.uuid4()),
    )


@pytest.fixture
def send(browser, account):
    """Submit through a session's page, with a permit of so many seconds."""

    async def send(session="one", permit=15.0, seconds=10.0):
        mine = account(session)
        async with browser.page(session, mine) as page:
            return await page.send(submission(mine), monotonic() + permit, seconds)

    return send


async def pids(browser):
    """Return the processes of the browser, its main one first."""
    cdp = await browser._chromium.new_browser_cdp_session()
    found = (await cdp.send("SystemInfo.getProcessInfo"))["processInfo"]
    await cdp.detach()
    return [p["id"] for p in sorted(found, key=lambda p: p["type"] != "browser")]


async def crash(tab):
    """Crash a tab's renderer; the wish itself is never answered."""
    cdp = await tab.context.new_cdp_session(tab)
    async with tab.expect_event("crash"):
        wish = asyncio.create_task(cdp.send("Page.crash"))
    wish.cancel()
    await asyncio.gather(wish, return_exceptions=True)


async def test_two_sessions_share_no_cookie_and_scripts_see_no_login(browser, account):
    mine, other = account("one"), account("two")
    async with browser.page("one", mine) as a, browser.page("two", other) as b:
        seen = await a._tab.evaluate("document.cookie")
        first = {(c["name"], c["value"]) for c in await a._context.cookies()}
        second = {(c["name"], c["value"]) for c in await b._context.cookies()}
    own = {("sessionid", mine.sessionid.get_secret_value())}
    assert own <= first
    assert not own & second
    assert {name for name, _ in first & second} <= {
        "is_staff_user",
        "store-region",
        "store-region-src",
    }
    assert "_tea_web_id=" in seen
    assert "sessionid" not in seen


async def test_everything_of_a_session_goes_through_its_own_proxy(browser_with, site):
    proxy = Exit(Fence(site.origin, ()), None)
    address = await proxy.open()
    mine = jimeng.Account.parse(f"{address}@{DEMO_SESSIONS[0]}")
    async with browser_with(ready_seconds=2) as browser:
        async with browser.page("one", mine) as page:
            assert await page.send(submission(mine), monotonic() + 15, 10)
        await browser.close_unused(0)
        proxy.close()
        with pytest.raises(PageNotReadyError):
            async with browser.page("one", mine):
                pass


async def test_a_page_whose_script_never_signs_is_not_ready(
    site, account, browser_with
):
    site.world.knobs.sdk_delay_ms = 60_000
    async with browser_with(ready_seconds=0.6) as browser:
        with pytest.raises(PageNotReadyError, match="not ready within"):
            async with browser.page("one", account()):
                pass
        assert browser.open_pages == 0
    assert site.submits() == 0


async def test_a_request_the_page_did_not_sign_does_not_leave(browser, account, site):
    async with browser.page("one", account()) as page:
        await page._tab.evaluate(
            """() => {
              const other = document.body.appendChild(document.createElement("iframe"));
              window.fetch = other.contentWindow.fetch.bind(window);
            }"""
        )
        with pytest.raises(NotSentError, match="did not sign"):
            await page.send(submission(account()), monotonic() + 15, 10)
    assert site.submits() == 0


async def test_no_request_to_generate_leaves_but_the_one_that_was_asked_for(
    browser, account, site
):
    async with browser.page("one", account()) as page:
        await page._tab.evaluate(
            """() => {
              const once = window.fetch;
              window.fetch = async (...asked) => {
                const answer = await once(...asked);
                await once(...asked).catch(() => 0);
                return answer;
              };
            }"""
        )
        await page.send(submission(account()), monotonic() + 15, 10)
        with pytest.raises(Exception, match="Failed to fetch"):
            await page._tab.evaluate(
                "fetch('/mweb/v1/aigc_draft/generate?x=1', {method: 'POST'})"
            )
    assert site.submits() == 1


async def test_a_page_that_crashes_in_mid_send_is_unknown_and_the_next_is_fresh(
    browser, account, site, send
):
    await send()
    site.fault("hang")
    sending = asyncio.create_task(send())
    await site.submit_arrives(2)
    await crash(browser._seats["one"].page._tab)
    with pytest.raises(jimeng.Unknown):
        await sending
    assert isinstance(await send(), jimeng.Accepted)
    assert site.submits() == 3


async def test_a_page_that_crashed_at_rest_is_replaced(browser, send):
    await send()
    await crash(browser._seats["one"].page._tab)
    assert isinstance(await send(), jimeng.Accepted)


async def test_a_killed_browser_is_replaced(browser, send, until):
    await send()
    os.kill(browser._pid, signal.SIGKILL)
    await until(lambda: not browser._chromium.is_connected())
    assert isinstance(await send(), jimeng.Accepted)


async def test_a_browser_that_did_not_start_is_tried_again_unasked(
    browser_with, chromium_path, program, until
):
    async with browser_with(program("exit 1"), idle_seconds=0.1) as browser:
        await until(lambda: not browser.state()["browser"])
        program(f'exec "{chromium_path}" "$@"')
        await until(lambda: browser.state()["chromium"])
        state = browser.state()
    assert state["browser"] is True
    assert "reason" not in state


async def test_a_browser_killed_in_mid_send_is_unknown(browser, site, send):
    await send()
    site.fault("hang")
    sending = asyncio.create_task(send())
    await site.submit_arrives(2)
    os.kill(browser._pid, signal.SIGKILL)
    with pytest.raises(jimeng.Unknown):
        await sending
    assert isinstance(await send(), jimeng.Accepted)


async def test_a_frozen_browser_sends_nothing_after_its_time(
    browser, account, site, send
):
    async with browser.page("one", account()) as page:
        frozen = await pids(browser)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NotSentError):
            await page.send(submission(account()), monotonic() + 0.2, 10)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    assert isinstance(await send(), jimeng.Accepted)
    assert site.submits() == 1


WAYS = {
    "fetch": "fetch(url, {mode: 'no-cors'})",
    "socket": "loaded(new WebSocket(url.replace('http', 'ws')), 'onopen')",
    "script": "loaded(document.head.append(e = make('script')) || e)",
    "image": "loaded(make('img'))",
    "object": "loaded(document.body.append(e = make('object')) || e)",
}
FAILED = "Failed to fetch|not loaded|Failed to construct"
REACH = """url => {
  let e;
  const loaded = (it, name = 'onload') => new Promise((yes, no) => {
    it[name] = yes; it.onerror = () => no('not loaded');
    setTimeout(it.onerror, 300);  // some are silent
  });
  const make = kind => Object.assign(document.createElement(kind),
                                     {src: url, data: url});
  return %s;
}"""


async def test_a_browser_frozen_for_good_is_replaced(
    browser_with, account, until, site
):
    async with browser_with(ready_seconds=4) as browser:
        async with browser.page("one", account()):
            frozen = await pids(browser)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(PageNotReadyError, match="opens no page"):
            async with browser.page("two", account("two")):
                pass
        await until(lambda: gone(frozen[0]))
        async with browser.page("two", account("two")) as page:
            mine = account("two")
            assert await page.send(submission(mine), monotonic() + 15, 10)


def gone(pid):
    """Tell whether a process has ended, though nobody may have waited for it."""
    try:
        return stat(pid)[0] == "Z"
    except OSError:
        return True


def stat(pid):
    """Return state, parent and what follows, of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


async def test_a_killed_driver_is_replaced_and_leaves_no_browser(browser, send, until):
    await send()
    main = browser._pid
    os.kill(int(stat(main)[1]), signal.SIGKILL)  # its parent
    await until(lambda: gone(main))
    with suppress(PageNotReadyError):  # how it is found out
        await send()
    assert isinstance(await send(), jimeng.Accepted)


ALONE = """
import asyncio, sys
from pathlib import Path
import jimeng
from signer.browser import Browser, Limits
from signer.exit import Fence

async def main():
    limits = Limits(contexts=1, idle_seconds=60, ready_seconds=10)
    site = jimeng.Upstream(sys.argv[2])
    fence = Fence(sys.argv[2], ())
    async with Browser(Path(sys.argv[1]), site, fence, limits, Path(sys.argv[3])) as b:
        account = jimeng.Account.parse("51e0de305e55104d0000000000000001")
        async with b.page("one", account):
            print(b._pid, flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_browser_dies_with_a_signer_that_is_killed(
    site, chromium_path, tmp_path, until
):
    arguments = [str(chromium_path), site.origin, str(tmp_path / "chromium.log")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ALONE, *arguments, stdout=asyncio.subprocess.PIPE
    )
    pid = int(await process.stdout.readline())
    assert not gone(pid)
    process.kill()
    await process.wait()
    await until(lambda: gone(pid))


async def test_the_page_reaches_no_other_host_and_no_file(browser, account):
    reached = []

    async def other(_, writer):
        reached.append(1)
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = (f"http://127.0.0.1:{port}/", "http://localhost:1/", "file:///etc/hostname")
    async with browser.page("one", account()) as page:
        for way, url in product(WAYS.values(), urls):
            with pytest.raises(Exception, match=FAILED):
                await page._tab.evaluate(REACH % way, url)
    server.close()
    assert reached == []


async def test_only_what_a_submit_needs_is_loaded_and_the_browsers_words_are_kept(
    browser, account, site, tmp_path
):
    async with browser.page("one", account()):
        assert (tmp_path / "logs" / "chromium.log").exists()
        paths = {note.path for note in site.world.traffic.recent}
    assert "/vlabstatic.com/bdms.js" in paths
    assert not paths & {"/static/logo.png", "/static/page.css"}


async def test_a_warm_page_is_used_again_and_an_unused_one_closed(browser, send):
    await send()
    page = browser._seats["one"].page
    await send()
    assert browser._seats["one"].page is page
    await browser.close_unused(60)
    assert browser.open_pages == 1
    await browser.close_unused(0)
    assert browser.open_pages == 0


async def test_the_page_unused_the_longest_makes_room(browser_with, account):
    async with browser_with(contexts=1) as browser:
        for session in ("one", "two", "one"):
            async with browser.page(session, account(session)):
                assert browser.open_pages == 1


async def test_a_changed_credential_gets_a_new_page(browser, account):
    async with browser.page("one", account("one")) as page:
        first = page
    async with browser.page("one", account("two")) as page:
        cookies = {c["value"] for c in await page._context.cookies()}
    assert page is not first
    assert account("one").sessionid.get_secret_value() not in cookies


async def test_an_old_page_is_loaded_anew(browser, account):
    async with browser.page("one", account()) as page:
        tab = page._tab
        page._loaded_at -= 3600
    async with browser.page("one", account()) as again:
        assert again is page
        assert again._tab is not tab
        assert tab.is_closed()
