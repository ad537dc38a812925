"""Check that each package imports with its declared dependencies, and theirs, alone.

By reading its imports; with `--isolated` by importing every module of it in a
throw-away environment that has nothing else.
"""

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

MEMBERS = sorted(p.parent for p in Path().glob("*/*/pyproject.toml"))
UV = ".tools/bin/uv"
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    if not module.name.endswith("__main__") and ".versions." not in module.name + ".":
        importlib.import_module(module.name)
"""


def main() -> int:
    """Return 1 and say what is undeclared, or fails to import."""
    wrong = list(undeclared())
    if "--isolated" in sys.argv and not wrong:
        wrong = list(unimportable())
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{len(MEMBERS)} packages declare what they import")
    return bool(wrong)


def undeclared() -> Iterator[str]:
    """Yield what is imported without being declared, a line each."""
    sources = packages_distributions()
    for member in MEMBERS:
        package = package_of(member)
        allowed = reachable(member)
        ours = {package_of(m) for m in closure(member)}
        for name, file in sorted(imports(member / package).items()):
            given = {normal(d) for d in sources.get(name, [])}
            if name not in ours and not given & allowed:
                yield f"{file} imports {name}: declare it in {member}/pyproject.toml"


def reachable(member: Path) -> set[str]:
    """Return the distributions that come with a member's declared dependencies."""
    found = set[tuple[str, str]]()
    waiting = [r for m in closure(member) for r in declared(m)]
    while waiting:
        needed = waiting.pop()
        for extra in ("", *needed.extras):
            if (key := (normal(needed.name), extra)) not in found:
                found.add(key)
                waiting += [r for r in required(needed.name) if applies(r, extra)]
    return {name for name, _ in found}


def required(name: str) -> list[Requirement]:
    """Return what an installed distribution asks for; ours are read elsewhere."""
    try:
        return [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        return []


def applies(requirement: Requirement, extra: str) -> bool:
    """Return whether a requirement holds here, with an extra asked for or without."""
    return not requirement.marker or requirement.marker.evaluate({"extra": extra})


def table(member: Path) -> dict[str, Any]:
    """Return a member's pyproject.toml."""
    return tomllib.loads((member / "pyproject.toml").read_text())


def package_of(member: Path) -> str:
    """Return the name a member is imported by."""
    return str(table(member)["tool"]["uv"]["build-backend"]["module-name"])


def declared(member: Path) -> list[Requirement]:
    """Return what a member declares."""
    return [Requirement(text) for text in table(member)["project"]["dependencies"]]


def normal(name: str) -> str:
    """Return a distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(package: Path) -> dict[str, Path]:
    """Return the top-level names imported, with a file that imports each."""
    found: dict[str, Path] = {}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            for name in imported(node):
                if name not in sys.stdlib_module_names:
                    found.setdefault(name, file)
    return found


def imported(node: ast.AST) -> list[str]:
    """Return the top-level names one statement imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name.split(".")[0] for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.split(".")[0]]
    return []


def unimportable() -> Iterator[str]:
    """Yield the packages that do not import with what they declare, and why."""
    with tempfile.TemporaryDirectory() as folder:
        for member in MEMBERS:
            environment = Path(folder) / member.name
            run(UV, "-q", "venv", "--python", sys.executable, str(environment))
            python = str(environment / "bin" / "python")
            install = [UV, "-q", "pip", "install", "--python", python]
            needed = [f"--editable=./{m}" for m in closure(member)]
            run(*install, "--constraint", "requirements.lock", *needed)
            done = run(python, "-c", IMPORT_ALL, package_of(member), check=False)
            if done.returncode:
                yield f"{member}: {done.stderr.strip().splitlines()[-1]}"


def closure(member: Path) -> set[Path]:
    """Return a member and the members it needs."""
    by_name = {normal(table(m)["project"]["name"]): m for m in MEMBERS}
    found, waiting = set[Path](), [member]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            names = (normal(r.name) for r in declared(here))
            waiting += [by_name[name] for name in names if name in by_name]
    return found


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said."""
    return subprocess.run(command, check=check, capture_output=True, text=True)


if __name__ == "__main__":
    raise SystemExit(main())
