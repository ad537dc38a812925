"""Everything that can go wrong with a blob, cut by what the caller can do about it.

BlobError
├── InvalidKeyError    the key is not one of ours: a defect, or an attack
├── MissingError       nothing is stored under the key
├── TooLargeError      more bytes than the caller allowed
├── StorageFullError   no room; nothing was stored, try again when there is some
└── BusyError          another process is writing the same draft

What else a disk can say is an OSError, as it is.
"""


class BlobError(Exception):
    """Any failure of this library."""


class InvalidKeyError(BlobError, ValueError):
    """A key that is not `<task id>/<name>`."""


class MissingError(BlobError):
    """Nothing is stored under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is not stored")
        self.key = key


class TooLargeError(BlobError):
    """More bytes came than the caller allowed; nothing was stored."""

    def __init__(self, key: str, limit: int) -> None:
        super().__init__(f"{key} is larger than {limit} bytes")
        self.limit = limit


class StorageFullError(BlobError):
    """No room on the disk, or none within its quota; nothing was stored."""


class BusyError(BlobError):
    """Another writer has this draft open."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is being written elsewhere")
