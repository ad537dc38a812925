"""References to files in a prompt: `@1 dances like @video_file_1`.

`@1`, `@image1` and `@图1` count over all files in their order; `@image_file_1`,
`@video_file_1` and `@audio_file_1` count within their kind, and without a number
mean the first. Letters may be of either case.
"""

import re
from collections.abc import Sequence

from jimeng.errors import InvalidJob
from jimeng.materials import FileKind

# The longer form comes first and digits are taken whole, so that `@12` is never
# `@1` followed by a 2.
_REFERENCE = re.compile(
    r"@(?:(?P<kind>image|video|audio)_file(?:_(?P<nth>[0-9]+))?"
    r"|(?:图片|图|image)?(?P<any>[0-9]+))",
    re.IGNORECASE,
)
_COMMA = "\N{FULLWIDTH COMMA}"


def segments(prompt: str, kinds: Sequence[FileKind]) -> list[str | int]:
    """The prompt cut at its references: texts, and indexes of files.

    Raises InvalidJob("prompt") for a reference to a file that does not exist.
    """
    parts: list[str | int] = []
    end = 0
    for match in _REFERENCE.finditer(prompt):
        parts += [prompt[end : match.start()], _index(match, kinds)]
        end = match.end()
    return [part for part in (*parts, prompt[end:]) if part != ""]


def unified(prompt: str, kinds: Sequence[FileKind]) -> list[str | int]:
    """The segments of an omni prompt, every file named when it names none.

    The default sentence is the one the site's users write: "use A and B as
    material", then the prompt.
    """
    parts = segments(prompt, kinds)
    if any(isinstance(part, int) for part in parts):
        return parts
    sentence: list[str | int] = ["使用"]
    for index in range(len(kinds)):
        sentence += ["和", index] if index else [index]
    end = f"素材{_COMMA}{prompt}" if prompt.strip() else "素材生成视频"
    return [*sentence, end]


def _index(match: re.Match[str], kinds: Sequence[FileKind]) -> int:
    kind = (match["kind"] or "").lower()
    candidates = [i for i, each in enumerate(kinds) if kind in ("", each)]
    digits = match["any"] or match["nth"] or "1"
    position = int(digits[:9])
    if not 1 <= position <= len(candidates):
        raise InvalidJob(
            "prompt", f"{match[0][:40]} refers to a file that is not there"
        )
    return candidates[position - 1]
