"""The page in a real browser: what goes through it is taken, the rest is not."""

import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.async_api import async_playwright

pytestmark = pytest.mark.browser
PATH = "/mweb/v1/aigc_draft/generate"
READY = "() => window.bdms?.init && !fetch.toString().includes('native code')"
FETCH = """async ([url, body]) => {
  const answer = await fetch(url, {method: 'POST', body, credentials: 'include',
    headers: {'Content-Type': 'application/json'}});
  return [answer.url, await answer.json()];
}"""
XHR = """([url, body]) => new Promise((done) => {
  const call = new XMLHttpRequest();
  call.open('POST', url);
  call.setRequestHeader('Content-Type', 'application/json');
  call.onload = () => done([call.responseURL, JSON.parse(call.responseText)]);
  call.send(body);
})"""


@asynccontextmanager
async def browsing(chromium, visitor, path="/ai-tool/generate?type=video"):
    """The site's page, loaded with the visitor's session, its script at work."""
    root = str(visitor.http.base_url)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, chromium_sandbox=False
        )
        context = await browser.new_context()
        cookies = {"sessionid": visitor.session, "_tea_web_id": "7584089465464800001"}
        await context.add_cookies(
            [{"name": k, "value": v, "url": root} for k, v in cookies.items()]
        )
        page = await context.new_page()
        await page.goto(root.rstrip("/") + path)
        await page.wait_for_function(READY)
        yield page
        await browser.close()


async def through(page, kit, body, script=FETCH):
    url = f"{PATH}?{urlencode(kit.QUERY)}"
    return await page.evaluate(script, [url, json.dumps(body, ensure_ascii=False)])


def seedance(kit, prompt="一只猫 a cat"):
    return kit.body_of(kit.text_input(prompt), **kit.SEEDANCE)


async def cookies_of(page):
    cookies = await page.context.cookies()
    return "; ".join(f"{one['name']}={one['value']}" for one in cookies)


async def plainly(visitor, url, body, cookies):
    """The same request again, from outside the browser."""
    headers = {"Cookie": cookies, "Content-Type": "application/json"}
    answer = await visitor.http.post(url, content=body, headers=headers)
    return answer.json()["ret"]


async def captured(page, visitor, kit, body):
    """A signed request of the page that never reached the site."""
    caught = []

    async def catch(route):
        caught.append((route.request.url, route.request.post_data))
        await route.fulfill(json={"ret": "0", "data": {}})

    await page.route(f"**{PATH}*", catch)
    await through(page, kit, body)
    await page.unroute(f"**{PATH}*")
    return *caught[0], await cookies_of(page)


async def test_a_seedance_submit_that_bypasses_the_page_is_refused(visitor, kit):
    answer = await visitor.submit(seedance(kit))
    assert (answer["ret"], answer["errmsg"]) == ("1019", "shark not pass")


@pytest.mark.parametrize("code", ["4013", "-6"])
async def test_the_refusal_may_be_another_risk_code(visitor, kit, code):
    visitor.world.knobs.deny_code = code
    assert (await visitor.submit(seedance(kit)))["ret"] == code


async def test_the_first_unsigned_submits_may_be_tolerated(visitor, kit):
    visitor.world.knobs.unsigned_allowed = 2
    rets = [(await visitor.submit(seedance(kit)))["ret"] for _ in range(3)]
    assert rets == ["0", "0", "1019"]


@pytest.mark.parametrize("script", [FETCH, XHR])
async def test_a_submit_through_the_page_is_taken_without_a_sign(
    chromium, visitor, kit, script
):
    visitor.world.knobs.require_sign = "required"
    async with browsing(chromium, visitor) as page:
        url, answer = await through(page, kit, seedance(kit), script)
    query = dict(parse_qsl(urlsplit(url).query))
    assert answer["ret"] == "0", answer
    assert list(query)[-2:] == ["msToken", "a_bogus"]
    assert (len(query["msToken"]), len(query["a_bogus"])) == (184, 192)


async def test_a_replayed_submit_is_refused(chromium, visitor, kit):
    body = seedance(kit)
    async with browsing(chromium, visitor) as page:
        url, _ = await through(page, kit, body)
        cookies = await cookies_of(page)
    again = json.dumps(body, ensure_ascii=False)
    assert await plainly(visitor, url, again, cookies) == "1019"


async def test_a_captured_signature_is_good_for_its_own_request_only(
    chromium, visitor, other, kit
):
    async with browsing(chromium, visitor) as page:
        url, body, cookies = await captured(page, visitor, kit, seedance(kit))
    bogus = dict(parse_qsl(urlsplit(url).query))["a_bogus"]
    forged = bogus[:-1] + ("0" if bogus[-1] != "0" else "1")
    stolen = cookies.replace(visitor.session, other.session)
    changed = {
        "body": (url, body + " ", cookies),
        "query": (url + "&os=mac", body, cookies),
        "forged": (url.replace(bogus, forged), body, cookies),
        "other session": (url, body, stolen),
        "no cookie of the page": (url, body, f"sessionid={visitor.session}"),
        "too short": (url.replace(bogus, bogus[:44]), body, cookies),
    }
    for name, request in changed.items():
        assert await plainly(visitor, *request) == "1019", name
    assert await plainly(visitor, url, body, cookies) == "0"


async def test_a_page_left_open_too_long_signs_in_vain(chromium, visitor, kit):
    async with browsing(chromium, visitor) as page:
        visitor.world.advance(3700)
        _, answer = await through(page, kit, seedance(kit))
    assert answer["ret"] == "1019"


async def test_a_page_loaded_before_the_session_signs_in_vain(chromium, visitor, kit):
    async with browsing(chromium, visitor) as page:
        await page.context.clear_cookies(name="sessionid")
        await page.reload()
        await page.wait_for_function(READY)
        root = str(visitor.http.base_url)
        cookie = {"name": "sessionid", "value": visitor.session, "url": root}
        await page.context.add_cookies([cookie])
        _, answer = await through(page, kit, seedance(kit))
    assert answer["ret"] == "1019"


async def test_many_submits_of_one_page_all_differ(chromium, visitor, kit):
    visitor.change(concurrency=20)
    async with browsing(chromium, visitor, "/") as page:
        answers = [
            await through(page, kit, seedance(kit, "猫" * n)) for n in range(1, 9)
        ]
    assert [answer["ret"] for _, answer in answers] == ["0"] * 8
    assert len({url for url, _ in answers}) == 8


async def test_the_page_says_what_it_is_and_sets_its_cookies(visitor):
    answer = await visitor.http.get("/ai-tool/home")
    assert "not the Jimeng site" in answer.text
    assert {"ttwid", "fpk1", "s_v_web_id", "odin_tt", "msToken"} <= set(answer.cookies)


async def test_the_script_is_inline_where_that_is_wanted(visitor):
    assert "/vlabstatic.com/bdms.js" in (await visitor.http.get("/")).text
    visitor.world.knobs.sdk_inline = True
    page = (await visitor.http.get("/")).text
    assert "XMLHttpRequest" in page
    assert "/vlabstatic.com/bdms.js" not in page
