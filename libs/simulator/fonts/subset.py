"""Makes the two fonts of simulator/fonts: the glyphs a prompt is drawn with.

A tool for developers, run by hand; it needs fontTools, which nothing else here does:

    uv run --with fonttools libs/simulator/fonts/subset.py DejaVuSans.ttf \
        DroidSansFallbackFull.ttf

latin.ttf: Latin, Greek, Cyrillic, punctuation and arrows of DejaVu Sans (Bitstream Vera
licence; Debian: fonts-dejavu-core). han.ttf: CJK punctuation, kana and every character
of GB2312 of Droid Sans Fallback, which has no Latin (Apache-2.0; Debian:
fonts-droid-fallback).
"""

import sys
from pathlib import Path

from fontTools import subset  # type: ignore[import-not-found, unused-ignore]

FOLDER = Path(__file__).parent.parent / "simulator" / "fonts"
LATIN = [(0x20, 0x17F), (0x370, 0x45F), (0x2010, 0x203A), (0x20AC, 0x20AC)]
LATIN += [(0x2122, 0x2122), (0x2190, 0x2199), (0x2212, 0x2212), (0x25A0, 0x25CF)]
HAN = [(0x3000, 0x30FF), (0xFF01, 0xFFEF)]


def main(latin: str, han: str) -> None:
    """Write both fonts from the font files named."""
    _cut(latin, "latin.ttf", _points(LATIN))
    _cut(han, "han.ttf", _points(HAN) | _gb2312())


def _points(ranges: list[tuple[int, int]]) -> set[int]:
    return {point for first, last in ranges for point in range(first, last + 1)}


def _gb2312() -> set[int]:
    """The ideographs of GB2312: two bytes from B0A1 to F7FE, not all assigned."""
    pairs = (
        bytes([high, low]) for high in range(0xB0, 0xF8) for low in range(0xA1, 255)
    )
    return {ord(char) for pair in pairs for char in pair.decode("gb2312", "ignore")}


def _cut(source: str, name: str, wanted: set[int]) -> None:
    options = subset.Options(hinting=False, notdef_outline=True, layout_features=[])
    font = subset.load_font(source, options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    subset.save_font(font, str(FOLDER / name), options)


if __name__ == "__main__":
    main(*sys.argv[1:])
