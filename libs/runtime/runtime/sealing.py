"""Secrets at rest: one root key, a derived key for each purpose, AES-256-GCM.

A sealed value is `key id (4) | nonce (12) | ciphertext`, bound to where it is stored by
its associated data, so that a row cannot be swapped for another.
"""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from boundary import boundary
from runtime.durable import sync_folder

KEY_ID_BYTES = 4
NONCE_BYTES = 12
SHORTEST_ROOT = 32


class SealError(Exception):
    """A sealed value cannot be opened: another key, another place, or damage."""


class Sealer:
    """Seals and opens values for one purpose."""

    def __init__(self, root: str, purpose: str) -> None:
        key = derived(root, purpose)
        self._aead = AESGCM(key)
        self._id = sha256(key).digest()[:KEY_ID_BYTES]

    def seal(self, value: str, place: str) -> bytes:
        """Seal a value for one place (`table:row:column`)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._aead.encrypt(nonce, value.encode(), place.encode())
        return self._id + nonce + sealed

    def owns(self, sealed: bytes) -> bool:
        """Whether a value was sealed with this key."""
        return sealed[:KEY_ID_BYTES] == self._id

    def open(self, sealed: bytes, place: str) -> str:
        """Open a sealed value; raises SealError."""
        if not self.owns(sealed):
            raise SealError("sealed with another key: is SECRET_KEY the right one?")
        nonce = sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        try:
            plain = self._aead.decrypt(
                nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], place.encode()
            )
        except (InvalidTag, ValueError):
            raise SealError(f"the sealed value at {place} is damaged") from None
        return plain.decode()


class Ring:
    """The keys of one purpose: the first seals, what any of them sealed is opened."""

    def __init__(self, purpose: str, root: str, *earlier: str) -> None:
        self._keys = [Sealer(each, purpose) for each in (root, *earlier)]

    def seal(self, value: str, place: str) -> bytes:
        """Seal a value for one place."""
        return self._keys[0].seal(value, place)

    def is_old(self, sealed: bytes) -> bool:
        """Whether a value was sealed with another key than the first."""
        return not self._keys[0].owns(sealed)

    def open(self, sealed: bytes, place: str) -> str:
        """Open a sealed value; raises SealError."""
        owner = next((key for key in self._keys if key.owns(sealed)), self._keys[0])
        return owner.open(sealed, place)


def derived(root: str, purpose: str) -> bytes:
    """Return the key for one purpose (RFC 5869); it tells nothing of the others."""
    info = f"jimeng:{purpose}".encode()
    return HKDF(SHA256(), 32, salt=None, info=info).derive(root.encode())


def root_secret(value: str | None, file: Path) -> str:
    """Return the root secret: the given one, else the file's, made at first use.

    Raises SealError for a short secret or a file that others can read.
    """
    if value is None:
        if not file.exists():
            _create(file)
        if file.stat().st_mode & 0o077:
            raise SealError(f"{file} can be read by others: chmod 600 {file}")
        value = file.read_text().strip()
    if len(value) < SHORTEST_ROOT:
        raise SealError(f"the root secret is shorter than {SHORTEST_ROOT} characters")
    return value


def previous_of(file: Path) -> Path:
    """Return where the secret before a file's lies while it is being rotated."""
    return file.with_name(f"{file.name}.previous")


def previous_secret(value: str | None, file: Path) -> str | None:
    """Return the root secret before the present one, where there is one."""
    if value is None and not file.exists():
        return None
    return root_secret(value, file)


def rotate(file: Path) -> None:
    """Put a new secret into a file; the old one lies beside it until it is forgotten.

    At each moment one of the two opens what there is, so it may break off anywhere and
    be done again.
    """
    old, previous = root_secret(None, file), previous_of(file)
    if not previous.exists():
        with boundary("link", previous.name):
            os.link(file, previous)
        sync_folder(file.parent)
    if root_secret(None, previous) == old:
        draft = _draft(file)
        with boundary("rename", file.name):
            draft.replace(file)
        sync_folder(file.parent)


def forget_previous(file: Path) -> None:
    """Remove the secret before a file's: nothing is sealed with it any more."""
    previous_of(file).unlink(missing_ok=True)
    sync_folder(file.parent)


def _create(file: Path) -> None:
    """Write a new secret whole or not at all; a racing start keeps the first one."""
    draft = _draft(file)
    try:
        with boundary("link", file.name):
            os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    # Before anything is sealed with it: what is sealed survives a power cut.
    sync_folder(file.parent)


def _draft(file: Path) -> Path:
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(secrets.token_urlsafe(48) + "\n")
        out.flush()
        with boundary("fsync", file.name):
            os.fsync(out.fileno())
    return draft
