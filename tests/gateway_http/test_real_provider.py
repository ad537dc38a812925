"""People sign in with a certified provider, as it is, and in a real browser."""

import asyncio
import json
import re
import shutil
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.async_api import async_playwright

from browser_support import found_browser
from gateway_http.parts import Patience
from gateway_http.signin.words import CHINESE, ENGLISH
from issuer_support import CLIENT, CLIENT_SECRET, rsa
from sign_in_support import entrance
from support import free_port

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".tools" / "oidc-provider" / "node_modules"
PROGRAM = ROOT / "tests" / "oidc_provider" / "provider.mjs"
PEOPLE = {
    "ann": {"name": "Ann Example", "groups": ["team", "others"]},
    "eve": {"name": "Eve Example", "groups": ["others"]},
}
START_SECONDS = 60

pytestmark = pytest.mark.timeout(180)


class Provider:
    """The provider, as a process of its own."""

    def __init__(self, ours):
        self.url = f"http://127.0.0.1:{free_port()}"
        self._client = {
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [f"{ours}/auth/callback"],
            "post_logout_redirect_uris": [f"{ours}/auth/login?out=1"],
        }

    @asynccontextmanager
    async def signing_with(self, *kids):
        """Run it; it signs with the first of these keys."""
        about = {
            "modules": str(MODULES.parent),
            "url": self.url,
            "keys": [rsa(kid).as_dict(private=True) for kid in kids],
            "client": self._client,
            "people": PEOPLE,
        }
        pipes = {
            "stdout": asyncio.subprocess.PIPE,
            "stderr": asyncio.subprocess.DEVNULL,
        }
        command = [shutil.which("node"), str(PROGRAM), json.dumps(about)]
        process = await asyncio.create_subprocess_exec(*command, **pipes)
        try:
            async with asyncio.timeout(START_SECONDS):
                while await process.stdout.readline() != b"ready\n":
                    assert process.returncode is None, "the provider did not start"
            yield
        finally:
            process.kill()
            await process.communicate()


@pytest.fixture
async def real(open_door):
    """Run a gateway that knows a real provider, which the test starts."""
    if not MODULES.is_dir():
        pytest.skip("needs oidc-provider: install npm, then `make test`")
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    patience = Patience(accept=5, check=0.05, keys=0.05)
    run = partial(entrance, open_door, provider.url, port=port, patience=patience)
    async with run() as door:
        door.provider = provider
        yield door


async def through_forms(browser, person):
    """Sign in there: its forms, filled in one after the other; return our answer."""
    http = browser.http
    answer = await http.get("/auth/login?via=provider&next=/docs")
    for _ in range(12):
        where = str(answer.url)
        if to := answer.headers.get("location"):
            to = urljoin(where, to)
            answer = await http.get(to)
            if to.startswith(f"{browser.url}/auth/callback"):
                return answer
            continue
        action = re.search(r'action="([^"]+)"', answer.text)[1]
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
        form = {"prompt": prompt, "login": person, "password": "any"}
        answer = await http.post(urljoin(where, action), data=form)
    raise AssertionError(f"it leads nowhere: {answer.text}")


async def test_somebody_signs_in_and_another_has_no_role(real, caplog):
    async with real.provider.signing_with("first"):
        ann, eve = real.browser(), real.browser()
        back = await through_forms(ann, "ann")
        assert (back.status_code, back.headers["location"]) == (303, "/docs")
        me = (await ann.me()).json()
        assert (me["name"], me["role"]) == ("Ann Example", "operator")
        assert me["owner"].endswith(":ann")
        refused = await through_forms(eve, "eve")
        assert refused.status_code == 403
        assert ENGLISH["no_role"] in refused.text
        assert "refused: no role" in caplog.text
        repeated = await ann.http.get(str(back.url))
        assert repeated.status_code == 400


async def test_its_new_key_is_fetched(real):
    async with real.provider.signing_with("first"):
        assert (await through_forms(real.browser(), "ann")).status_code == 303
    async with real.provider.signing_with("second"):
        assert (await through_forms(real.browser(), "ann")).status_code == 303


@pytest.mark.browser
async def test_in_a_real_browser_somebody_comes_and_goes(real):
    program = str(found_browser())
    async with real.provider.signing_with("first"), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False
        )
        context = await browser.new_context(locale="zh-CN")
        page = await context.new_page()
        noise = []
        page.on("console", lambda line: noise.append(line.text))
        await page.goto(f"{real.url}/auth/login")
        name = urlsplit(real.provider.url).netloc
        await page.get_by_text(CHINESE["with"].format(name=name)).click()
        await page.fill("[name=login]", "ann")
        await page.fill("[name=password]", "any")
        await page.click("[type=submit]")
        await page.click("[type=submit]")  # may it know the name and the groups
        await page.get_by_text(CHINESE["hello"]).first.wait_for()
        assert "Ann Example" in await page.inner_text("main")
        (cookie,) = [c for c in await context.cookies() if c["name"] == "jimeng"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        await page.get_by_text(CHINESE["out"], exact=True).click()
        await page.click("[name=logout]")  # at the provider
        await page.get_by_text(CHINESE["signed_out"]).wait_for()
        assert [c for c in await context.cookies() if c["name"] == "jimeng"] == []
        await page.fill("[name=key]", "gw_wrong")
        await page.press("[name=key]", "Enter")
        await page.get_by_text(CHINESE["wrong_key"]).wait_for()
        await page.fill("[name=key]", real.token)
        await page.press("[name=key]", "Enter")
        await page.get_by_text("admin token").wait_for()
        assert not [line for line in noise if "Content Security Policy" in line]
        await browser.close()
