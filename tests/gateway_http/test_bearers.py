"""Bearer tokens: which are taken, which are not and why, and what they give."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from access_support import SECRET, TOKENS, WISH, claims
from gateway_http.settings import GatewaySettings
from gateway_http.signin import keysets
from gateway_http.signin.keysets import PublishedKeys, SharedSecret
from gateway_http.signin.people import owner_of
from gateway_http.signin.roles import groups_of, read_map, role_of
from gateway_http.signin.tokens import (
    ASYMMETRIC,
    SYMMETRIC,
    NotValidError,
    Verifier,
)
from gateway_http.signin.web import AwayError
from issuer_support import rsa, signed, with_public_key
from runtime.settings import SettingsError, load

US, ISSUER = TOKENS["jwt_audience"], TOKENS["jwt_issuer"]


@pytest.fixture
async def published(issuer):
    """Return a verifier by the fake issuer's keys."""

    async def where():
        return f"{issuer.url}/jwks"

    return Verifier(ISSUER, US, ASYMMETRIC, PublishedKeys(where, 60))


async def reason(verifier, token):
    with pytest.raises(NotValidError) as no:
        await verifier.claims(token)
    return str(no.value)


async def test_a_token_as_it_should_be_is_taken(published):
    for change in (
        {},
        {"aud": [US, "another"]},
        {"exp": int(time.time()) - 50},  # within the leeway
        {"nbf": int(time.time()) + 50},
    ):
        token = signed(claims(**change), rsa("first"), kid="first")
        assert (await published.claims(token))["sub"] == "ann"
    for header in ({"kid": None}, {"typ": "at+jwt"}, {"typ": "JWT"}, {"own": "x"}):
        await published.claims(signed(claims(), rsa("first"), **header))


FORGED = {
    "missing exp": {"exp": None},
    "missing iat": {"iat": None},
    "missing aud": {"aud": None},
    "missing iss": {"iss": None},
    "missing sub": {"sub": None},
    "expired": {"exp": 1_700_000_000},
    "wrong exp": {"exp": "tomorrow"},
    "wrong nbf": {"nbf": 4_000_000_000},
    "wrong iat": {"iat": 4_000_000_000},
    "wrong aud": {"aud": ["https://another.example"]},
    "wrong iss": {"iss": f"{ISSUER}/"},
    "wrong sub": {"sub": 7},
}


@pytest.mark.parametrize("why", FORGED)
async def test_a_token_with_another_claim_is_refused(published, why):
    token = signed(claims(**FORGED[why]), rsa("first"), kid="first")
    assert await reason(published, token) == why


async def test_a_token_signed_in_another_way_is_refused(published):
    ours, theirs = rsa("first"), rsa("another")
    good = signed(claims(), ours, kid="first")
    head, body, mark = good.split(".")
    other = signed(claims(sub="eve"), ours, kid="first").split(".")[1]
    for token, why in {
        signed(claims(), ours, alg="none", kid="first"): "wrong alg",
        f"{signed(claims(), ours, alg='none').rstrip('.')}.{mark}": "wrong alg",
        with_public_key(claims(), ours, "first"): "wrong alg",
        signed(claims(), OctKey.import_key("x" * 32), kid="first"): "wrong alg",
        signed(claims(), theirs, kid="first"): "wrong signature",
        f"{head}.{other}.{mark}": "wrong signature",
        f"{head}.{body}.": "wrong signature",
        signed(claims(), theirs, kid="another"): "unknown kid",
        signed(claims(), ours, kid="../../first"): "unknown kid",
        signed(claims(), ours, kid="first", typ="logout+jwt"): "wrong typ",
        signed(claims(), theirs, jwk=theirs.as_dict(private=False)): "wrong signature",
        signed(claims(), theirs, jku="http://127.0.0.1:1/jwks"): "wrong signature",
        signed(claims(), ours, x5c=["x" * 9000]): "exceeded size",
        "a.b.c": "decode error",
        "..": "decode error",
    }.items():
        assert await reason(published, token) == why, token
    assert "another" not in str(published.keys._keys)


async def test_a_secret_signs_by_its_one_algorithm_alone():
    verifier = Verifier(ISSUER, US, SYMMETRIC, SharedSecret(SECRET))
    key = OctKey.import_key(SECRET)
    assert await verifier.claims(signed(claims(), key, kid="whatever"))
    assert await reason(verifier, signed(claims(), rsa("first"))) == "wrong alg"
    assert await reason(verifier, signed(claims(), key, alg="none")) == "wrong alg"
    other = OctKey.import_key(SECRET[:-1] + "!")
    assert await reason(verifier, signed(claims(), other)) == "wrong signature"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.integers(0, 2))
def test_no_token_breaks_the_verifier(text, part):
    import asyncio

    verifier = Verifier(ISSUER, US, SYMMETRIC, SharedSecret(SECRET))
    parts = signed(claims(), OctKey.import_key(SECRET)).split(".")
    if parts[part] != text:
        parts[part] = text
        with pytest.raises(NotValidError):
            asyncio.run(verifier.claims(".".join(parts)))


async def test_new_keys_are_fetched_at_most_once_a_minute(issuer):
    seconds = [0.0]

    async def where():
        return f"{issuer.url}/jwks"

    keys = PublishedKeys(where, 60, lambda: seconds[0])
    assert (await keys.find("first")).kid == "first"
    issuer.keys = [rsa("second")]
    with pytest.raises(NotValidError, match="unknown kid"):
        await keys.find("second")
    assert issuer.asked == ["jwks"]
    seconds[0] += 60
    assert (await keys.find("second")).kid == "second"
    for _ in range(20):
        with pytest.raises(NotValidError, match="unknown kid"):
            await keys.find("first")
    assert issuer.asked == ["jwks"] * 2


async def test_a_withdrawn_key_ends_in_an_hour_but_not_while_the_issuer_is_away(issuer):
    seconds = [0.0]

    async def where():
        return f"{issuer.url}/jwks"

    keys = PublishedKeys(where, 60, lambda: seconds[0])
    issuer.away = True
    with pytest.raises(AwayError):
        await keys.find("first")
    issuer.away = False
    seconds[0] += keysets.RETRY_SECONDS
    await keys.find("first")
    seconds[0] += keysets.FRESH_SECONDS + 1
    issuer.away = True
    await keys.find("first")
    seconds[0] += 60
    issuer.away, issuer.keys = False, [rsa("second")]
    with pytest.raises(NotValidError):
        await keys.find("first")


def test_only_keys_that_can_verify_are_taken_from_a_set():
    good = rsa("first").as_dict(private=False)
    found = keysets.usable(
        {
            "keys": [
                "nonsense",
                {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
                {"kty": "RSA", "kid": "b"},
                {"kty": "MLDSA", "kid": "c"},
                {**good, "kid": "d", "use": "enc"},
                {**good, "kid": "e", "n": good["n"][:120]},  # too short to be safe
                {**rsa("first").as_dict(private=True), "kid": "f"},
                good,
            ]
        }
    )
    assert [key.kid for key in found] == ["first"]
    assert keysets.usable({"keys": {}}) == keysets.usable({}) == []


def test_groups_become_the_highest_role():
    roles = read_map("cn=chiefs=admin, team=operator,*=viewer")
    assert roles == {"cn=chiefs": "admin", "team": "operator", "*": "viewer"}
    assert role_of(["team", "cn=chiefs"], roles) == "admin"
    assert role_of(["Team"], roles) == "viewer"
    assert role_of([], {"team": "operator"}) is None
    for wrong in ("team", "team=boss", "=admin", "team=Admin"):
        with pytest.raises(ValueError, match="is no group with a role"):
            read_map(wrong)


def test_groups_are_found_where_the_provider_puts_them():
    assert groups_of({"groups": ["a", 7, "b"]}, "groups") == ["a", "b"]
    assert groups_of({"role": "a"}, "role") == ["a"]
    nested = {"realm_access": {"roles": ["a"]}}
    assert groups_of(nested, "realm_access.roles") == ["a"]
    assert groups_of({"https://x.org/g": ["a"]}, "https://x.org/g") == ["a"]
    for nothing in ({}, {"groups": None}, {"groups": 7}, {"groups": {"a": 1}}):
        assert groups_of(nothing, "groups") in ([], ["a"])
        assert groups_of(nothing, "groups.a.b") == []


def test_an_owner_is_a_person_at_an_issuer():
    assert owner_of(ISSUER, "ann") == owner_of(ISSUER, "ann")
    assert owner_of(ISSUER, "ann").endswith(":ann")
    assert owner_of(f"{ISSUER}/", "ann") != owner_of(ISSUER, "ann")
    assert len(owner_of(ISSUER, "x" * 255)) < 200


JWT = TOKENS
ON = {"auth_enabled": True}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (ON | JWT | {"jwt_secret": "x" * 31}, "JWT_SECRET: must have at least 32"),
        (ON | JWT | {"jwt_issuer": ""}, "JWT_SECRET needs JWT_ISSUER and JWT_AUDIENCE"),
        (ON | JWT | {"jwt_jwks_url": ISSUER}, "not both"),
        (ON | {"jwt_jwks_url": "http://id.example.org"}, "JWT_JWKS_URL: must begin"),
        (JWT, "JWT_ISSUER is set, and AUTH_ENABLED is not"),
        (ON | {"oidc_issuer_url": "http://id.example.org"}, "OIDC_ISSUER_URL: must"),
        (ON | {"oidc_issuer_url": ISSUER}, "needs OIDC_CLIENT_ID"),
        (ON | {"oidc_issuer_url": ISSUER, "oidc_client_id": "x"}, "OIDC_ROLE_MAP"),
        (ON | {"oidc_role_map": "x=boss"}, "OIDC_ROLE_MAP: 'x=boss' is no group"),
    ],
)
def test_settings_that_would_not_protect_end_the_start(given, told):
    with pytest.raises(SettingsError) as no:
        load(GatewaySettings, _env_file=None, **given)
    assert told in str(no.value)
    assert SECRET not in str(no.value)


async def test_a_token_gives_a_role_or_scopes_of_ones_own(door):
    operator = door.person("operator")
    worker = door.holder(sub="bob", scope="openid task:read video:create admin")
    task = await door.task(worker)
    assert (await operator.get(f"/api/v1/tasks/{task}")).status_code == 200
    theirs = await door.task(operator)
    assert (await worker.get(f"/api/v1/tasks/{theirs}")).status_code == 404
    assert (await worker.get(f"/api/v1/tasks/{task}")).status_code == 200
    assert (await worker.get("/api/v1/keys")).status_code == 403
    looker = door.person("viewer")
    no = await looker.post("/api/v1/tasks", json=WISH)
    assert (no.status_code, no.json()["type"]) == (403, "scope_missing")
    nobody = await door.holder(groups=["none"]).get("/api/v1/tasks")
    assert (nobody.status_code, nobody.json()["type"]) == (403, "no_role")


async def test_a_token_of_no_use_is_told_why(door, caplog):
    answer = await door.holder(groups=["team"], aud="another").get("/api/v1/tasks")
    assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
    assert "wrong aud" in answer.json()["detail"]
    assert "a bearer token was refused: wrong aud" in caplog.text
    forged = signed(claims(groups=["team"]), OctKey.import_key("y" * 32))
    assert (await door.client(forged).get("/api/v1/tasks")).status_code == 401
    assert forged not in caplog.text


async def test_without_the_issuers_keys_no_token_is_checked(open_door, issuer):
    about = {"jwt_secret": None, "jwt_jwks_url": f"{issuer.url}/jwks"}
    token = signed(claims(groups=["team"]), rsa("first"), kid="first")
    async with open_door(**about) as door:
        issuer.away = True
        answer = await door.client(token).get("/api/v1/tasks")
        assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
