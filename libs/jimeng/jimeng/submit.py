"""The answer of a submit: taken, refused for certain, or not known."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from jimeng.answers import Answer, at, failure, kept, read_answer, word
from jimeng.errors import BadAnswer, Refused, Unknown, effect_of
from jimeng.poll import Node

_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submit the site took. `node` may have ended already; its outcome tells."""

    history_id: str
    node: Node
    answer: str = field(repr=False)


def read_submit(status: int, text: str, *, secrets: Iterable[str] = ()) -> Accepted:
    """Read the answer of a submit, whoever sent it.

    Raises Refused for a code of the table, and Unknown for everything else that does
    not show a taken task: HTML, 5xx, an unknown code, success without a record id.
    """
    secrets = tuple(secrets)
    try:
        answer = read_answer(status, text, secrets)
    except BadAnswer as error:
        raise Unknown(str(error), answer=kept(text, secrets)) from error
    if status >= _SERVER_ERROR:
        raise Unknown(f"HTTP {status}", answer=answer.kept)
    if word(answer.body.get("ret")) == "0":
        return _accepted(answer, secrets)
    raise _refused(answer)


def _accepted(answer: Answer, secrets: tuple[str, ...]) -> Accepted:
    raw = at(answer.body, "data", "aigc_data")
    node = Node.read(raw, secrets=secrets) if at(raw) else None
    if node is None or not node.history_id:
        raise Unknown("success without a history record id", answer=answer.kept)
    return Accepted(history_id=node.history_id, node=node, answer=answer.kept)


def _refused(answer: Answer) -> Refused | Unknown:
    code, text = failure(answer.body)
    effect = effect_of(code)
    if effect is None or not word(answer.body.get("ret")):
        return Unknown(f"unknown code {code[:100]!r}", code=code, answer=answer.kept)
    return Refused(code, text, effect, answer.kept)
