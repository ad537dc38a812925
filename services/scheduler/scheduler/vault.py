"""Credentials at rest: sealed, each bound to its row."""

import hashlib
import hmac
import json
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.requests import Refusal, RequestRefusedError
from contracts.workers import Credential
from jimeng import Account
from runtime.sealing import Ring
from scheduler.store import credentials

SHOWN = 4  # first and last characters


class Vault:
    """Seals accounts into credential rows and opens them again.

    The first root seals; what an earlier one has sealed is opened all the same.
    """

    def __init__(self, root: str, *earlier: str) -> None:
        self._ring = Ring("credentials", root, *earlier)
        self._key = hashlib.sha256(f"jimeng:fingerprints:{root}".encode()).digest()

    def seal(self, account: Account, credential_id: int) -> bytes:
        """Return what is stored of an account."""
        proxy = account.proxy.get_secret_value() if account.proxy else None
        secret = {
            "sessionid": account.sessionid.get_secret_value(),
            "region": account.region,
            "web_id": account.web_id,
            "user_id": account.user_id,
            "proxy": proxy,
        }
        return self._ring.seal(json.dumps(secret), _place(credential_id))

    async def open(
        self, db: AsyncConnection, session_id: str, credential_id: int | None = None
    ) -> Credential:
        """Return the credential to use; refused with 404 when there is none."""
        found = await credentials.in_use(db, session_id, credential_id)
        if found is None:
            text = "this session has no credential"
            raise RequestRefusedError(
                Refusal(status=404, type="credential-not-found", detail=text)
            )
        row_id, sealed = found
        secret: dict[str, Any] = json.loads(self._ring.open(sealed, _place(row_id)))
        return Credential(session=session_id, credential=row_id, **secret)

    def fingerprint(self, account: Account) -> str:
        """Return what tells that two credentials are the same, and nothing else."""
        return self._fingerprint(account.region, account.sessionid.get_secret_value())

    async def seal_again(self, db: AsyncConnection) -> int:
        """Seal with the first root whatever an earlier one has; return how many."""
        old = [r for r in await credentials.sealed(db) if self._ring.is_old(r[1])]
        for row_id, sealed in old:
            text = self._ring.open(sealed, _place(row_id))
            secret = json.loads(text)
            await credentials.seal(
                db,
                row_id,
                self._ring.seal(text, _place(row_id)),
                # Fingerprints depend on the root too.
                self._fingerprint(secret["region"], secret["sessionid"]),
            )
        return len(old)

    def _fingerprint(self, region: str, sessionid: str) -> str:
        value = f"{region}:{sessionid}"
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()


def masked(secret: SecretStr) -> str:
    """Return the first and last four characters, for people to recognise it."""
    value = secret.get_secret_value()
    if len(value) <= 3 * SHOWN:
        return "****"
    return f"{value[:SHOWN]}…{value[-SHOWN:]}"


def _place(credential_id: int) -> str:
    return f"credentials:{credential_id}:sealed"
