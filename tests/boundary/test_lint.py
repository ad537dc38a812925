"""The check that finds lasting steps outside a boundary."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lint():
    file = ROOT / "deploy" / "tools" / "boundaries.py"
    spec = spec_from_file_location("boundaries", file)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "step",
    [
        "transaction.commit()",
        "self._engine.begin()",
        "self.broker.publish(body, subject)",
        "self.client.request(subject)",
        "raw.ack()",
        "raw.nak(delay=3)",
        "raw.term()",
        "os.fsync(handle)",
        "os.link(draft, file)",
        "draft.replace(file)",
        "path.rename(file)",
        "self.http.send(request)",
        "pool.stream('GET', url)",
        "route.continue_()",
    ],
)
def test_a_planted_step_is_found_and_a_boundary_around_it_is_enough(lint, step):
    bare = f"def work():\n    {step}\n"
    kept = f"def work():\n    with boundary('it', 'more'):\n        {step}\n"
    assert [number for number, _ in lint.steps(bare)] == [2]
    assert list(lint.steps(kept)) == []


def test_one_in_an_async_context_is_found(lint):
    source = (
        "async def work():\n    async with http.stream('GET', u) as a:\n        ...\n"
    )
    assert list(lint.steps(source)) == [(2, "http.stream")]


@pytest.mark.parametrize(
    "other",
    ["text.replace('a', 'b')", "at.replace(hour=0)", "replace(task, due=1)", "ack(1)"],
)
def test_what_only_sounds_alike_is_left_alone(lint, other):
    assert list(lint.steps(other)) == []


def test_an_excuse_needs_its_reason(lint):
    assert list(lint.steps("raw.ack()  # no boundary: nobody waits")) == []
    assert list(lint.steps("# no boundary: nobody waits\nraw.ack()")) == []
    assert list(lint.steps("raw.ack()  # no boundary")) == [(1, "raw.ack")]


def test_files_are_named_with_line_and_call(lint, tmp_path):
    package = tmp_path / "services" / "poller" / "poller"
    package.mkdir(parents=True)
    (package / "handlers.py").write_text("async def f(m):\n    await m.ack()\n")
    other = tmp_path / "libs" / "simulator" / "simulator"
    other.mkdir(parents=True)
    (other / "site.py").write_text("draft.replace(file)\n")
    (found,) = lint.outside(tmp_path)
    assert found.startswith("services/poller/poller/handlers.py:2: m.ack() is not")


def test_this_tree_has_none(lint):
    assert list(lint.outside(ROOT)) == []
