"""People sign in: with a provider that behaves, with one that does not, with a key."""

import time
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey

from access_support import TOKEN
from contracts.message import now
from gateway_http.signin.badges import WORN, Badge, Cookies, Trip
from gateway_http.signin.goal import HOME, local
from gateway_http.signin.memory import MOST_TRIES
from gateway_http.signin.people import owner_of
from gateway_http.signin.words import CHINESE, ENGLISH, language_of
from issuer_support import CLIENT, CLIENT_SECRET, rsa, signed, with_public_key
from runtime.sealing import Ring
from sign_in_support import FORM, entrance


@pytest.fixture
def sign_in(open_door, issuer):
    """Run a gateway whose provider is the fake one."""
    return partial(entrance, open_door, issuer.url)


async def test_somebody_signs_in_and_works_and_signs_out(sign_in, issuer, caplog):
    async with sign_in() as door:
        browser = door.browser()
        assert (await browser.me()).status_code == 401
        back = await browser.sign_in(next="/api/v1/tasks?limit=5")
        assert (back.status_code, back.headers["location"]) == (
            303,
            "/api/v1/tasks?limit=5",
        )
        assert issuer.asked == ["discovery", "token", "jwks"]
        me = (await browser.me()).json()
        assert (me["name"], me["role"]) == ("Ann Example", "operator")
        assert me["owner"] == owner_of(issuer.url, "ann")
        assert me["sees_all"] is True
        origin = {"origin": door.url}
        made = await browser.http.post(
            "/api/v1/tasks", json={"prompt": "x"}, headers=origin
        )
        assert made.status_code == 201, made.text
        kept = browser.cookie()
        out = await browser.http.post("/auth/logout", headers=origin | FORM)
        assert out.status_code == 303
        end = urlsplit(out.headers["location"])
        asked = {k: v[0] for k, v in parse_qs(end.query).items()}
        assert f"{end.scheme}://{end.netloc}{end.path}" == f"{issuer.url}/logout"
        assert asked["post_logout_redirect_uri"] == f"{door.url}/auth/login?out=1"
        assert asked["client_id"] == CLIENT
        assert asked["id_token_hint"].count(".") == 2
        assert browser.cookie() is None
        browser.http.cookies.set("jimeng", kept)
        assert (await browser.me()).status_code == 401
        assert kept not in caplog.text
        assert "code-0" not in caplog.text


async def test_the_request_to_the_provider_is_bound_to_the_browser(sign_in, issuer):
    async with sign_in() as door:
        browser = door.browser()
        sent = await browser.http.get("/auth/login", params={"via": "provider"})
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        assert asked["response_type"] == ["code"]
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [f"{door.url}/auth/callback"]
        assert len(asked["state"][0]) > 40
        assert len(asked["nonce"][0]) > 40
        cookie = sent.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie
        trip = browser.cookie("jimeng-trip")
        assert asked["state"][0] not in trip
        again = await browser.http.get("/auth/login", params={"via": "provider"})
        assert (
            asked["state"]
            != parse_qs(urlsplit(again.headers["location"]).query)["state"]
        )


async def test_over_tls_cookies_are_for_this_host_alone(sign_in):
    public = "https://video.example.org"
    async with sign_in(public_url=public) as door:
        told = {"host": "video.example.org"}
        path = "/auth/login?via=provider"
        sent = await door.nobody.get(path, headers=told)
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        assert asked["redirect_uri"] == [f"{public}/auth/callback"]
        given = {"key": TOKEN}
        entered = await door.nobody.post("/auth/login", json=given, headers=told)
        for answer, name in ((sent, "__Host-jimeng-trip"), (entered, "__Host-jimeng")):
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith(f"{name}=")
            assert "; Secure" in cookie
            assert "Domain" not in cookie


def forged(key, **header):
    return lambda claims: signed(claims, key, **header)


HOSTILE = {
    "wrong nonce": {"claims": {"nonce": "another"}},
    "missing nonce": {"claims": {"nonce": None}},
    "wrong aud": {"claims": {"aud": "another-client"}},
    "wrong azp": {"claims": {"aud": [CLIENT, "another-client"]}},
    "wrong iss": {"claims": {"iss": "https://evil.example"}},
    "missing exp": {"claims": {"exp": None}},
    "expired": {"claims": {"exp": int(time.time()) - 120}},
    "missing sub": {"claims": {"sub": None}},
    "wrong alg": {"forge": forged(None, alg="none")},
    "wrong alg ": {"forge": lambda c: with_public_key(c, rsa("first"), "first")},
    "wrong alg  ": {"forge": forged(OctKey.import_key(CLIENT_SECRET * 2))},
    "unknown kid": {"forge": forged(rsa("another"), kid="another")},
    "wrong signature": {"forge": forged(rsa("another"), kid="first")},
    "wrong state": {"answer": {"state": "another"}},
    "wrong state ": {"answer": {"state": None}},
    "wrong iss parameter": {"answer": {"iss": "https://evil.example"}},
    "missing iss parameter": {"answer": {"iss": None}},
    "missing code": {"answer": {"code": None}},
    "code declined: invalid_grant": {"answer": {"code": "code-of-another"}},
    "wrong sub of userinfo": {"in_token": False, "claims": {"sub": "eve"}},
    "no role": {"user": {"sub": "ann", "groups": ["none"]}},
    "access_denied": {"answer": {"code": None, "error": "access\n_denied\x1b"}},
}


async def test_nobody_gets_in_by_a_provider_that_misbehaves(sign_in, issuer, caplog):
    usual = {name: getattr(issuer, name) for name in vars(issuer)}
    async with sign_in() as door:
        await door.browser().sign_in()  # the keys are fetched, the ways are known
        for number, (why, how) in enumerate(HOSTILE.items()):
            for name, value in how.items():
                setattr(issuer, name, value)
            caplog.clear()
            # Each from an address of its own, lest the throttle ends it.
            browser = door.browser()
            browser.http.headers["x-forwarded-for"] = f"192.0.2.{number}"
            answer = await browser.sign_in()
            assert 400 <= answer.status_code < 404, (why, answer.status_code)
            assert f"a sign-in was refused: {why.strip()}, from" in caplog.text, why
            assert browser.cookie() is None, why
            assert (await browser.me()).status_code == 401, why
            word = {"no role": "no_role", "access_denied": "denied"}.get(why, "refused")
            assert ENGLISH[word] in answer.text, why
            assert why.strip() not in answer.text.lower()
            for name in how:
                setattr(issuer, name, usual[name])


@pytest.fixture
def run_gateway(run_gateway):
    """Believe what a proxy on this machine says of addresses."""

    def run(*given, **settings):
        return run_gateway(*given, **({"trusted_proxies": "127.0.0.1"} | settings))

    return run


async def test_an_answer_counts_once_also_for_a_browser_that_keeps_its_trip(
    sign_in, issuer, caplog
):
    issuer.forgets_codes = False
    async with sign_in() as door:
        browser = door.browser()
        back = await browser.depart()
        trip = browser.cookie("jimeng-trip")
        assert (await browser.http.get(back)).status_code == 303
        assert browser.cookie("jimeng-trip") is None
        browser.http.cookies.clear()
        assert (await browser.http.get(back)).status_code == 400
        assert "refused: no trip" in caplog.text
        browser.http.cookies.set("jimeng-trip", trip)
        assert (await browser.http.get(back)).status_code == 400
        assert "refused: repeated" in caplog.text


async def test_an_answer_for_another_browser_signs_nobody_in(sign_in, caplog):
    """An attacker's own answer, put under a person's hand (login CSRF)."""
    async with sign_in() as door:
        attacker, person = door.browser(), door.browser()
        answer = await attacker.depart()
        await person.depart()
        assert (await person.http.get(answer)).status_code == 400
        assert "refused: wrong state" in caplog.text
        assert person.cookie() is None


async def test_the_provider_s_new_keys_are_fetched(sign_in, issuer):
    async with sign_in() as door:
        issuer.keys = [rsa("second"), rsa("first")]
        assert (await door.browser().sign_in()).status_code == 303
        issuer.keys = [rsa("first"), rsa("second")]
        assert (await door.browser().sign_in()).status_code == 303
        assert issuer.asked.count("jwks") == 1


async def test_a_provider_that_is_away_or_calls_itself_otherwise(
    sign_in, issuer, caplog
):
    async with sign_in() as door:
        issuer.away = True
        answer = await door.browser().http.get("/auth/login?via=provider")
        assert answer.status_code == 503
        assert ENGLISH["away"] in answer.text
        assert "answers 503" in caplog.text
    issuer.away, issuer.about = False, {"issuer": f"{issuer.url}/"}
    async with sign_in() as door:
        answer = await door.browser().http.get("/auth/login?via=provider")
        assert answer.status_code == 503
        assert f"calls itself {issuer.url}/: write OIDC_ISSUER_URL" in caplog.text


async def test_groups_may_be_told_by_userinfo_alone(sign_in, issuer):
    issuer.in_token = False
    issuer.user = {"sub": "ann", "groups": ["chiefs", "guests"]}
    async with sign_in() as door:
        browser = door.browser()
        await browser.sign_in()
        me = (await browser.me()).json()
        assert (me["name"], me["role"], me["scopes"]) == ("ann", "admin", ["admin"])


async def test_somebody_signs_in_by_key(sign_in):
    async with sign_in() as door:
        _, key = await door.key(name="ann", scopes=["task:read"])
        browser = door.browser()
        back = await browser.with_key(f"  {key['key']} ", next="/docs")
        assert (back.status_code, back.headers["location"]) == (303, "/docs")
        me = (await browser.me()).json()
        assert (me["name"], me["role"], me["owner"]) == (
            "ann",
            None,
            f"key:{key['id']}",
        )
        assert key["key"] not in browser.cookie()
        place = f"/api/v1/keys/{key['id']}"
        await door.admin.patch(place, json={"enabled": False})
        assert (await browser.me()).json()["type"] == "key_disabled"
        refused = await door.browser().with_key(key["key"])
        assert (refused.status_code, ENGLISH["key_disabled"] in refused.text) == (
            403,
            True,
        )
        await door.admin.delete(place)
        assert (await browser.me()).status_code == 401
        chief = door.browser()
        given = await chief.http.post("/auth/login", json={"key": TOKEN})
        assert (given.status_code, given.json()["role"]) == (200, "admin")
        assert (await chief.http.get("/api/v1/keys")).status_code == 200
        out = await chief.http.post(
            "/auth/logout", headers={"x-csrf-token": given.json()["csrf"]}
        )
        assert out.json() == {"ok": True, "provider": None}
        assert (await chief.me()).status_code == 401


async def test_a_page_of_another_site_changes_nothing(sign_in):
    async with sign_in() as door:
        browser = door.browser()
        await browser.sign_in()
        me = (await browser.me()).json()
        wish = {"prompt": "x"}
        for headers, status in (
            ({}, 403),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"x-csrf-token": "guessed"}, 403),
            ({"x-csrf-token": me["csrf"]}, 201),
            ({"origin": door.url}, 201),
        ):
            made = await browser.http.post("/api/v1/tasks", json=wish, headers=headers)
            assert made.status_code == status, (headers, made.text)
            if status == 403:
                assert made.json()["type"] in {"csrf", "foreign_origin"}
        out = await browser.http.post("/auth/logout")
        assert (out.status_code, out.json()["type"]) == (403, "csrf")
        assert (await browser.me()).status_code == 200
        evil = {"origin": "https://evil.example"}
        form = {"key": TOKEN}
        no = await browser.http.post("/auth/login", data=form, headers=evil)
        assert (no.status_code, no.json()["type"]) == (403, "foreign_origin")


async def test_a_badge_is_new_at_each_sign_in_and_the_one_before_ends(sign_in):
    async with sign_in() as door:
        browser = door.browser()
        await browser.sign_in()
        first = browser.cookie()
        await browser.sign_in()
        assert browser.cookie() != first
        stolen = door.browser()
        stolen.http.cookies.set("jimeng", first)
        assert (await stolen.me()).status_code == 401
        assert (await browser.me()).status_code == 200


async def test_signing_out_everywhere_ends_every_badge_of_one_person(sign_in, issuer):
    async with sign_in() as door:
        here, there, other = (door.browser() for _ in range(3))
        await here.sign_in()
        await there.sign_in()
        issuer.user = issuer.user | {"sub": "bob"}
        issuer.claims = {"sub": "bob"}
        await other.sign_in()
        out = {"everywhere": "true"}
        await here.http.post("/auth/logout", data=out, headers={"origin": door.url})
        statuses = [(await each.me()).status_code for each in (here, there, other)]
        assert statuses == [401, 401, 200]
        issuer.user, issuer.claims = issuer.user | {"sub": "ann"}, {}
        await there.sign_in()
        assert (await there.me()).status_code == 200


async def test_two_gateways_share_badges_and_trips_and_who_must_wait(
    sign_in, run_gateway
):
    async with sign_in() as door:
        shared = {"auth_enabled": True, "admin_token": TOKEN}
        async with run_gateway(**shared) as second:
            browser = door.browser()
            await browser.sign_in()
            there = door.browser(second.url)
            there.http.cookies.set("jimeng", browser.cookie())
            assert (await there.me()).json() == (await browser.me()).json()
            await browser.http.post("/auth/logout", headers={"origin": door.url})
            assert (await there.me()).status_code == 401
            thief = [door.browser(), door.browser(second.url)]
            for number in range(MOST_TRIES):
                wrong = await thief[number % 2].with_key("gw_" + "0" * 64)
                assert wrong.status_code == 401
            for each in thief:
                no = await each.with_key(TOKEN)
                assert no.status_code == 429
                assert 0 < int(no.headers["retry-after"]) <= 60
                assert ENGLISH["too_many_sign_ins"] in no.text


async def test_another_page_cannot_make_a_browser_wait(sign_in):
    """It can have it ask for whatever it likes, without the trip's cookie."""
    async with sign_in() as door:
        browser = door.browser()
        for _ in range(MOST_TRIES + 1):
            refused = await browser.http.get("/auth/callback?code=x&state=x")
            assert refused.status_code == 400
        assert (await browser.sign_in()).status_code == 303


async def test_a_guest_s_page_signs_nobody_in_or_out(sign_in):
    guest = {"origin": "https://guest.example"}
    async with sign_in(cors_origins=guest["origin"]) as door:
        browser = door.browser()
        assert (await browser.http.get("/ping", headers=guest)).status_code == 200
        for path in ("/auth/login", "/auth/logout"):
            answer = await browser.http.post(path, json={"key": TOKEN}, headers=guest)
            assert (answer.status_code, browser.cookie()) == (403, None), path


async def test_without_nats_the_page_says_so(sign_in, nats):
    async with sign_in() as door:
        browser = door.browser()
        await browser.sign_in()
        nats.kill()
        me = await browser.me()
        assert (me.status_code, me.json()["type"]) == (503, "unavailable")
        for page in (
            await browser.http.get("/auth/login"),
            await browser.with_key(TOKEN),
            await browser.sign_in(),
        ):
            assert page.status_code == 503
            assert ENGLISH["unavailable"] in page.text
        nats.start()


async def test_another_secret_opens_no_badge(sign_in, run_gateway, tmp_path):
    async with sign_in() as door:
        browser = door.browser()
        await browser.sign_in()
        other = {"auth_enabled": True, "data_dir": tmp_path / "other"}
        async with run_gateway(**other) as stranger:
            there = door.browser(stranger.url)
            there.http.cookies.set("jimeng", browser.cookie())
            assert (await there.me()).status_code == 401


async def test_wrong_keys_are_told_on_the_page_and_to_programs(sign_in, caplog):
    async with sign_in() as door:
        browser = door.browser()
        page = await browser.with_key("gw_wrong", next="/docs")
        assert page.status_code == 401
        assert ENGLISH["wrong_key"] in page.text
        assert 'value="/docs"' in page.text
        assert "gw_wrong" not in page.text + caplog.text
        assert "refused: unknown key, from 127.0.0.1" in caplog.text
        told = await browser.http.post("/auth/login", json={"key": "gw_wrong"})
        assert (told.status_code, told.json()["type"]) == (401, "unauthorized")
        for wrong, status in (
            ({"json": {}}, 422),
            ({"json": {"key": ""}}, 422),
            ({"json": {"key": "x", "more": 1}}, 422),
            ({"content": b"x" * 20_000, "headers": FORM}, 413),
            ({"content": b"key=x", "headers": {"content-type": "text/plain"}}, 415),
            ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ):
            answer = await browser.http.post("/auth/login", **wrong)
            assert answer.status_code == status, (wrong, answer.text)


async def test_an_address_is_believed_from_a_proxy_of_ours_alone(sign_in, caplog):
    told = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
    async with sign_in() as door:
        await door.nobody.post("/auth/login", json={"key": "x"}, headers=told)
        assert "from 198.51.100.7" in caplog.text
    caplog.clear()
    async with sign_in(trusted_proxies="") as door:
        await door.nobody.post("/auth/login", json={"key": "x"}, headers=told)
        assert "from 127.0.0.1" in caplog.text
    caplog.clear()
    async with sign_in(trusted_proxies="127.0.0.0/8, 198.51.100.0/24") as door:
        v6 = {"x-forwarded-for": "2001:db8:1:2:3::4"}
        await door.nobody.post("/auth/login", json={"key": "x"}, headers=v6)
        assert "from 2001:db8:1:2::/64" in caplog.text
        host = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
        sent = await door.nobody.get("/auth/login?via=provider", headers=host)
        assert "evil.example" not in sent.headers["location"]


async def test_without_sign_in_or_a_provider_it_is_said_what_to_set(gateway, open_door):
    for method, path in (
        ("GET", "/auth/login"),
        ("POST", "/auth/login"),
        ("GET", "/auth/callback"),
        ("GET", "/auth/me"),
        ("POST", "/auth/logout"),
    ):
        answer = await gateway.http.request(method, path)
        assert answer.status_code == 404, path
        assert "AUTH_ENABLED" in answer.json()["detail"]


async def test_without_a_provider_there_is_the_key_alone(door):
    page = await door.nobody.get("/auth/login")
    assert (page.status_code, "via=provider" in page.text) == (200, False)
    for path in ("/auth/login?via=provider", "/auth/callback?code=1&state=2"):
        answer = await door.nobody.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "no_provider")
        assert "OIDC_ISSUER_URL" in answer.json()["detail"]


async def test_the_page_speaks_the_reader_s_language_and_says_who_is_there(sign_in):
    async with sign_in() as door:
        browser = door.browser()
        page = await browser.http.get("/auth/login?next=/docs%22%3E%3Cscript%3E")
        assert page.headers["content-type"].startswith("text/html")
        assert "<script" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        assert f"Sign in with {urlsplit(door.gateway.url).hostname}" in page.text
        chinese = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}
        page = await browser.http.get("/auth/login", headers=chinese)
        assert CHINESE["enter"] in page.text
        assert '<html lang="zh-CN">' in page.text
        await browser.sign_in()
        page = await browser.http.get("/auth/login")
        assert "Ann Example, operator" in page.text
        assert (
            ENGLISH["signed_out"] in (await browser.http.get("/auth/login?out=1")).text
        )


def test_languages_are_weighed():
    assert CHINESE.keys() == ENGLISH.keys()
    for accepted, language in {
        "": "en",
        "zh": "zh",
        "zh-TW;q=0.5": "zh",
        "en;q=0.4,zh;q=0.5": "zh",
        "en,zh;q=0.9": "en",
        "fr,*": "en",
        "zh;q=x": "en",
        "zh;q=0": "en",
    }.items():
        assert language_of(accepted) == language, accepted


def test_a_goal_is_a_path_of_ours():
    for path in ("/", "/docs", "/api/v1/tasks?limit=5&x=%2F%2Fevil", "/a//b"):
        assert local(path) == path
    for elsewhere in (
        *(None, "", "docs", "//evil.example", "/\\evil.example", "\\\\evil.example"),
        *("https://evil.example", "/\t/evil.example", "/\n/evil.example", "/ü"),
        *("javascript:alert(1)", " /docs", "/" + "x" * 2000, "/\x00"),
    ):
        assert local(elsewhere) == HOME, elsewhere


class Asking:
    def __init__(self, cookies):
        self.cookies = cookies


class Answer:
    def set_cookie(self, name, value, **how):
        self.name, self.value, self.how = name, value, how


def test_a_cookie_is_worth_something_for_its_time_and_in_its_place_alone():
    moment = [now()]
    ring = Ring("cookies", "x" * 40)
    secure = Cookies(ring, lambda: moment[0], secure=True)
    badge = Badge.new(moment[0], by="oidc", name="ann", owner="o", role="viewer")
    answer = Answer()
    secure.give(answer, badge)
    assert answer.name == "__Host-jimeng"
    assert answer.how == {
        "max_age": int(WORN.total_seconds()),
        "path": "/",
        "secure": True,
        "httponly": True,
        "samesite": "lax",
    }
    assert len(answer.value) < 3000
    assert secure.read(Badge, Asking({answer.name: answer.value})) == badge
    swapped = Asking({"__Host-jimeng-trip": answer.value})
    assert secure.read(Trip, swapped) is None
    for wrong in (answer.value[:-2], answer.value[::-1], "é", "=", "a" * 4000):
        assert secure.read(Badge, Asking({answer.name: wrong})) is None
    other = Cookies(Ring("cookies", "y" * 40), lambda: moment[0], secure=True)
    assert other.read(Badge, Asking({answer.name: answer.value})) is None
    rotated = Ring("cookies", "y" * 40, "x" * 40)
    after = Cookies(rotated, lambda: moment[0], secure=True)
    assert after.read(Badge, Asking({answer.name: answer.value})) == badge
    moment[0] += WORN - timedelta(seconds=1)
    assert secure.read(Badge, Asking({answer.name: answer.value})) == badge
    moment[0] += timedelta(seconds=1)
    assert secure.read(Badge, Asking({answer.name: answer.value})) is None
