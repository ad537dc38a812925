"""How requests go out, and what becomes of a no."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpx

from jimeng_client.errors import FieldError, GatewayError

# Adding an account waits for its check, a create for its acknowledgement.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def connect(url: str, api_key: str | None) -> httpx.Client:
    """Return a connection pool to a gateway. Raises GatewayError for a bad URL."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL:
        base = httpx.URL("")
    if base.scheme not in {"http", "https"} or not base.host:
        raise GatewayError(0, "bad_url", f"not a gateway's URL: {url}")
    return httpx.Client(
        base_url=base,
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        timeout=TIMEOUT,
        # A proxy of the environment does not know this machine's loopback.
        trust_env=not _is_loopback(base.host),
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn a failing connection into a GatewayError that says what to do."""
    try:
        yield
    except httpx.ConnectError:
        text = f"No gateway at {url}: start one with `jimeng up`"
        raise GatewayError(0, "unreachable", text) from None
    except httpx.TimeoutException:
        text = f"The gateway at {url} does not answer in time"
        raise GatewayError(0, "timeout", text) from None
    except httpx.HTTPError as error:
        text = f"The connection to {url} broke off: {error}"
        raise GatewayError(0, "broken_connection", text) from None


def checked(answer: httpx.Response) -> httpx.Response:
    """Return an answer that is a yes. Raises GatewayError for a no."""
    if answer.is_success:
        return answer
    answer.read()
    raise _error(answer.status_code, _problem(answer))


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _error(status: int, problem: dict[str, Any]) -> GatewayError:
    errors = [
        FieldError(str(each.get("field", "")), str(each.get("message", "")))
        for each in problem.get("errors", ())
    ]
    return GatewayError(
        status,
        str(problem.get("type", "unknown")),
        str(problem.get("detail", f"HTTP {status}, not in the gateway's words")),
        errors,
        problem.get("task_id"),
    )
