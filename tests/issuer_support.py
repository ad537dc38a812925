"""A provider of identities that does as it is told, also what none may."""

import base64
import hashlib
import json
import time
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import parse_qs, urlencode

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from asgi_support import serving

CLIENT, CLIENT_SECRET = "gateway", "the-clients-secret"
EVERY_ALGORITHM = jws.JWSRegistry(
    algorithms=["none", "HS256", "RS256"], strict_check_header=False
)


@cache
def rsa(kid):
    """A key pair; making one takes a tenth of a second."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def encoded(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(claims, key, **header):
    """Return a token, whatever its header says."""
    header = {"alg": "HS256" if isinstance(key, OctKey) else "RS256"} | header
    if header["alg"] == "none":
        return f"{encoded(header)}.{encoded(claims)}."
    payload = json.dumps(claims).encode()
    kept = {name: value for name, value in header.items() if value is not None}
    return jws.serialize_compact(kept, payload, key, registry=EVERY_ALGORITHM)


def with_public_key(claims, key, kid):
    """Return a token signed by HMAC with what everybody knows of an RSA key."""
    import hmac

    text = f"{encoded({'alg': 'HS256', 'kid': kid})}.{encoded(claims)}"
    mac = hmac.new(key.as_pem(private=False), text.encode(), hashlib.sha256)
    return f"{text}.{encoded(mac.digest())}"


class Issuer:
    """A provider; what it says is the test's to set."""

    def __init__(self):
        self.url = ""
        self.keys = [rsa("first")]
        self.user = {"sub": "ann", "name": "Ann Example", "groups": ["team"]}
        self.claims = {}  # put over the id token's own; None takes one away
        self.header = {}
        self.answer = {}  # put over the parameters that the browser brings back
        self.about = {}  # put over the discovery document
        self.forge = None  # makes the id token in its own way
        self.in_token = True  # groups are in the id token, not in userinfo alone
        self.away = False
        self.asked = []
        self.codes = {}
        self.forgets_codes = True
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.jwks),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.userinfo),
            ]
        )

    def common(self, **more):
        now = int(time.time())
        said = {"iss": self.url, "sub": "ann", "iat": now, "exp": now + 300}
        return {k: v for k, v in (said | more).items() if v is not None}

    async def discovery(self, request):
        self.asked.append("discovery")
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/logout",
            "authorization_response_iss_parameter_supported": True,
            "code_challenge_methods_supported": ["S256"],
        }
        return self.told(found | self.about)

    async def jwks(self, request):
        self.asked.append("jwks")
        return self.told({"keys": [k.as_dict(private=False) for k in self.keys]})

    async def authorize(self, request):
        """Let the person in without asking anything."""
        asked = dict(request.query_params)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        given = {"code": code, "state": asked["state"], "iss": self.url} | self.answer
        kept = {name: value for name, value in given.items() if value is not None}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(kept)}", 302)

    async def token(self, request):
        self.asked.append("token")
        body = (await request.body()).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        forget = self.codes.pop if self.forgets_codes else self.codes.get
        asked = forget(form.get("code"), None)
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != encoded(proof)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return self.told(
            {
                "access_token": "an-access-token",
                "token_type": "Bearer",
                "id_token": self.id_token(asked["nonce"]),
            }
        )

    def id_token(self, nonce):
        told = self.user if self.in_token else {"sub": self.user["sub"]}
        claims = self.common(aud=CLIENT, nonce=nonce, **told) | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.forge:
            return self.forge(claims)
        return signed(claims, self.keys[-1], kid=self.keys[-1].kid, **self.header)

    async def userinfo(self, request):
        self.asked.append("userinfo")
        if request.headers.get("authorization") != "Bearer an-access-token":
            return JSONResponse({"error": "invalid_token"}, 401)
        return self.told(self.user)

    def told(self, body):
        return JSONResponse(body, 503 if self.away else 200)


@asynccontextmanager
async def running_issuer():
    issuer = Issuer()
    async with serving(issuer.app) as url:
        issuer.url = url
        yield issuer


@pytest.fixture
async def issuer():
    async with running_issuer() as issuer:
        yield issuer
