"""Stored files: written whole or not at all, found by key."""

from blobs.errors import (
    BlobError,
    BusyError,
    InvalidKeyError,
    MissingError,
    StorageFullError,
    TooLargeError,
)
from blobs.keys import check_key
from blobs.part import Written
from blobs.store import Draft, Store, open_store

__all__ = [
    "BlobError",
    "BusyError",
    "Draft",
    "InvalidKeyError",
    "MissingError",
    "StorageFullError",
    "Store",
    "TooLargeError",
    "Written",
    "check_key",
    "open_store",
]
