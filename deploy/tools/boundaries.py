"""Check that every step that outlives its process stands inside a `boundary`.

A crash is tried at each boundary (`make crash-sweep`); a commit, publish,
acknowledgement, rename, fsync or request outside of one would never be. Where nothing
depends on it, a comment on its line or the one above says so: `# no boundary: why`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PLACES = ("libs/*/*/**/*.py", "services/*/*/**/*.py")
LEFT_OUT = ("libs/boundary", "libs/simulator", "libs/client")
EXCUSE = "# no boundary: "
# Methods by name, whatever they are called on ...
METHODS = {
    *("commit", "begin", "publish", "ack", "ack_sync", "nak", "term", "in_progress"),
    *("fsync", "fdatasync", "rename", "continue_", "handle_async_request"),
    *("delete_msg", "purge_stream"),
}
# ... and those whose name alone says too little.
CALLS = {
    *("os.link", "os.replace", "os.write", "command.upgrade", "client.request"),
    *("http.send", "http.stream", "http.request", "http.get", "http.post"),
    *("pool.stream", "pool.request"),
}
# A draft's commit is made of steps, each with a boundary of its own.
NOT_THESE = {"draft.commit"}


def main() -> int:
    """Return 1 and say what stands outside."""
    wrong = list(outside(Path()))
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print("every lasting step is a boundary")
    return bool(wrong)


def outside(root: Path) -> Iterator[str]:
    """Yield every lasting step outside a boundary, a line each."""
    for file in sorted(f for place in PLACES for f in root.glob(place)):
        name = file.relative_to(root).as_posix()
        if name.startswith(LEFT_OUT) or "/migrations/" in name:
            continue
        for number, call in steps(file.read_text()):
            yield f"{name}:{number}: {call}() is not inside `with boundary(...)`"


def steps(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each lasting step of a module outside a boundary."""
    lines = source.splitlines()
    for call in _bare(ast.parse(source)):
        near = lines[max(0, call.lineno - 2) : call.lineno]
        if not any(EXCUSE in line for line in near):
            yield call.lineno, ast.unparse(call.func)


def _bare(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the lasting calls below a node that no boundary is around."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With | ast.AsyncWith) and _is_boundary(child):
            continue
        if isinstance(child, ast.Call) and _lasts(child):
            yield child
        yield from _bare(child)


def _is_boundary(node: ast.With | ast.AsyncWith) -> bool:
    return any(
        isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func).endswith("boundary")
        for item in node.items
    )


def _lasts(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    name = call.func.attr
    receiver = ast.unparse(call.func.value).rpartition(".")[2].lstrip("_")
    if f"{receiver}.{name}" in NOT_THESE:
        return False
    # A file's takes one argument, a text's two, a date's only names.
    renames = name == "replace" and len(call.args) == 1 and not call.keywords
    return name in METHODS or f"{receiver}.{name}" in CALLS or renames


if __name__ == "__main__":
    raise SystemExit(main())
