"""Our own secrets in what the site sends back, whichever way it writes them."""

import base64
import re
from collections.abc import Iterable
from functools import lru_cache

MASK = "***"
SHORTEST = 6  # shorter parts, of short secrets, stand in any text by chance


def without(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets: plain, escaped, quoted, in base64."""
    for secret in filter(None, secrets):
        kernel, written, encoded = _traces(secret)
        if kernel in text:
            text = written.sub(MASK, text)
        for part in encoded:
            text = text.replace(part, MASK)
    return text


@lru_cache(maxsize=1024)
def _traces(secret: str) -> tuple[str, re.Pattern[str], tuple[str, ...]]:
    """Return a part that is always plain, a pattern of it all, and its base64.

    Letters and digits are escaped by nobody; so a text without the longest run of
    them, which is nearly every text, is passed at once.
    """
    runs = re.findall(r"[0-9A-Za-z]+", secret)
    pattern = "".join(map(_written, secret))
    return max(runs, key=len, default=""), re.compile(pattern), tuple(_base64(secret))


def _written(char: str) -> str:
    """Return a pattern of one character: itself, or as JSON, URLs and HTML write it."""
    if char.isalnum():
        return char
    code = ord(char)
    ways = (
        rf"\\*{re.escape(char)}",
        rf"\\+u00(?i:{code:02x})",
        rf"%(?:25)*(?i:{code:02x})",
        rf"&\#{code};",
        rf"&\#[xX](?i:{code:x});",
        *(f"&{name};" for name in _NAMED.get(char, ())),
    )
    return f"(?:{'|'.join(ways)})"


_NAMED = {"&": ("amp",), "<": ("lt",), ">": ("gt",), "'": ("apos",), '"': ("quot",)}


def _base64(secret: str) -> Iterable[str]:
    """Return what is in every base64 of a text that holds it, at each of 3 places."""
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret.encode()).decode()
        part = whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]
        if len(part) >= SHORTEST:
            yield part
            yield part.replace("+", "-").replace("/", "_")
