"""Write .env.example: every setting of every service, with its default, by section."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic_settings import BaseSettings

from runtime.settings import Settings

HEAD = """\
# Every setting, with its default. Copy what you change into a file named .env in the
# folder you start from; the environment wins over it. Made by `make env-example`.
"""
COMMAND_LINE = """\
# The command line and the Python client

# Where the gateway is.
#JIMENG_GATEWAY_URL=http://127.0.0.1:5100

# The key it is asked with, where it wants one.
#JIMENG_API_KEY=
"""


def main() -> None:
    """Write it to stdout."""
    said: set[str] = set()
    parts = [HEAD, section("Every service", Settings, said)]
    for package, kind in services():
        parts.append(section(package.replace("_", "-"), kind, said))
    sys.stdout.write("\n".join([*filter(None, parts), COMMAND_LINE]))


def services() -> Iterator[tuple[str, type[BaseSettings]]]:
    """Yield each service and its settings class."""
    for file in sorted(Path().glob("services/*/*/settings.py")):
        module = import_module(f"{file.parent.name}.settings")
        for kind in vars(module).values():
            ours = isinstance(kind, type) and kind.__module__ == module.__name__
            if ours and issubclass(kind, Settings):
                yield file.parent.name, kind


def section(title: str, kind: type[BaseModel], said: set[str]) -> str:
    """Return the settings of one class that no section before it has."""
    fields = {n: f for n, f in kind.model_fields.items() if n not in said}
    said.update(fields)
    lines = [
        f"# {field.description}\n#{name.upper()}={shown(field.default)}\n"
        for name, field in fields.items()
    ]
    return f"# {title}\n\n" + "\n".join(lines) if lines else ""


def shown(default: Any) -> str:
    """Return a default as it would be written in the file."""
    if default is None or isinstance(default, SecretStr):
        return ""
    if isinstance(default, ByteSize):
        return default.human_readable(separator="")
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default)


if __name__ == "__main__":
    main()
