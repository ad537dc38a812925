"""Keys: `<task id>/<name>`, nothing that could name a file outside its folder."""

import re

from blobs.errors import InvalidKeyError

# Neither part may begin with a dot: such names are those of unfinished files.
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,127}")


def check_key(key: str) -> tuple[str, str]:
    """Return the task id and the name of a key; raises InvalidKeyError."""
    task, _, name = key.partition("/")
    if not _NAME.fullmatch(name):
        raise InvalidKeyError(f"not a key: {key[:100]!r}")
    return check_task(task), name


def check_task(task: str) -> str:
    """Return a task id as it is; raises InvalidKeyError when it is none."""
    if not _TASK.fullmatch(task):
        raise InvalidKeyError(f"not a task id: {task[:100]!r}")
    return task
