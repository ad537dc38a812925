"""Asks a provider of identities, at addresses that are the operator's own word.

Nobody else's URL comes here, and the provider may well be in a private network: so no
address is forbidden. Redirects are not followed, and no proxy is used.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from boundary import boundary

SECONDS = 10.0
MOST_BYTES = 1024 * 1024
_SERVER_ERROR = 500

Document = dict[str, Any]


class AwayError(Exception):
    """The provider does not answer, or says nothing that can be read."""


class DeclinedError(Exception):
    """The provider says no; the text is its own word for why."""


async def ask(
    url: str,
    form: Mapping[str, str] | None = None,
    *,
    basic: tuple[str, str] | None = None,
    bearer: str = "",
) -> Document:
    """Return the JSON object an address answers with; with a form it is posted.

    Raises AwayError or DeclinedError, neither of which holds what was sent.
    """
    method = "GET" if form is None else "POST"
    headers = {"Accept": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(verify=_tls(), trust_env=False, timeout=SECONDS) as http,
        ):
            with boundary("provider asked"):
                async with http.stream(
                    method, url, data=form, auth=basic, headers=headers
                ) as response:
                    body = await _read(response)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise AwayError(f"{_place(url)}: {type(error).__name__}") from None
    return _document(url, response.status_code, body)


async def _read(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise AwayError(f"{_place(str(response.url))}: answers too much")
    return body


def _document(url: str, status: int, body: bytes) -> Document:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if httpx.codes.is_success(status) and isinstance(found, dict):
        return found
    if status < _SERVER_ERROR and isinstance(found, dict) and "error" in found:
        raise DeclinedError(shown(found["error"]))
    raise AwayError(f"{_place(url)}: answers {status}, without what was asked for")


def shown(word: object) -> str:
    """Return a stranger's word as it may stand in the log."""
    return "".join(c for c in str(word)[:100] if c.isprintable())


def _place(url: str) -> str:
    return url.partition("?")[0][:200]


@cache
def _tls() -> ssl.SSLContext:
    """Trust also what this machine trusts: a private authority is installed there."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
