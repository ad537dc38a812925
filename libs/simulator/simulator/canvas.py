"""Draws what a result shows: the prompt, the model and the material it was given."""

import colorsys
import hashlib
import re
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from simulator.records import Order

_LATIN = re.compile(
    "[\u0020-\u045f\u2010-\u203a\u20ac\u2122\u2190-\u2212\u25a0-\u25cf]+"
)
"""What latin.ttf holds; everything else is drawn with han.ttf."""

_WORDS = re.compile("[\u2e80-\uffef]|\\s+|[^\\s\u2e80-\uffef]+")
"""Where a line may break: around each ideograph, else between words."""

_ROOM_FOR_A_WORD = 100

_WHITE, _GREY, _ACCENT = (255, 255, 255), (200, 206, 220), (255, 190, 40)


def frame(order: Order, references: list[Path], title: str = "") -> Image.Image:
    """One picture of the right size that tells a person what was ordered."""
    picture = Image.new("RGB", (order.width, order.height), background(order.prompt))
    unit = min(order.width, order.height) / 720
    draw = ImageDraw.Draw(picture)
    margin = round(36 * unit)
    write(draw, (margin, margin), title or "simulator", round(22 * unit), _ACCENT)
    write(draw, (margin, round(70 * unit)), _facts(order), round(22 * unit), _GREY)
    _prompt(draw, order, unit)
    _materials(picture, order, references, unit)
    return picture


def background(prompt: str) -> tuple[int, int, int]:
    """A dark colour of the prompt's own, so that two results differ at a glance."""
    hue = hashlib.sha256(prompt.encode()).digest()[0] / 255
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 0.32)
    return round(red * 255), round(green * 255), round(blue * 255)


def marker(order: Order) -> Image.Image:
    """The disc that travels along the foot of the frame, so that the video moves."""
    side = max(8, round(min(order.width, order.height) / 12) // 2 * 2)
    disc = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    ImageDraw.Draw(disc).ellipse((0, 0, side - 1, side - 1), fill=(*_ACCENT, 255))
    return disc


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int] = _WHITE,
) -> None:
    """One line of mixed script, each run in the font that has its glyphs."""
    x, y = place
    baseline = y + size
    for run, latin in _runs(text):
        font = _font(latin, max(size, 6))
        draw.text((x, baseline), run, font=font, fill=colour, anchor="ls")
        x += font.getlength(run)


def wrap(text: str, size: int, width: float) -> list[str]:
    """The text in lines no wider than `width`; a word longer than a line is cut."""
    lines = [""]
    for word in _WORDS.findall(text):
        pieces = [word] if _width(word, size) <= width else list(word)
        for piece in pieces:
            if lines[-1] and _width(lines[-1] + piece.rstrip(), size) > width:
                lines.append("")
            lines[-1] += piece if lines[-1] or piece.strip() else ""
    return lines


def _facts(order: Order) -> str:
    length = f"{order.seconds:g} s" if order.seconds else "image"
    size = f"{order.width}×{order.height}"
    facts = [order.model, order.ratio, order.resolution, size, length]
    return " · ".join(fact for fact in facts if fact)


def _prompt(draw: ImageDraw.ImageDraw, order: Order, unit: float) -> None:
    size = round(44 * unit)
    top, margin = round(120 * unit), round(36 * unit)
    foot = round((330 if order.references else 110) * unit)
    room = int((order.height - top - foot) / (size * 1.3)) + 1
    lines = wrap(order.prompt, size, order.width - 2 * margin)[:room]
    for row, line in enumerate(lines):
        write(draw, (margin, top + row * size * 1.3), line, size)


def _materials(
    picture: Image.Image, order: Order, references: list[Path], unit: float
) -> None:
    """The material in a row, each with its number: what the order's @1, @2 … mean."""
    if not references:
        return
    margin, gap = round(36 * unit), round(12 * unit)
    side = min(round(210 * unit), (order.width - 2 * margin) // len(references) - gap)
    top = order.height - round(310 * unit)
    for index, path in enumerate(references):
        place = (margin + index * (side + gap), top)
        _thumbnail(picture, path, place, side)
        kind = order.references[index].kind if side > _ROOM_FOR_A_WORD * unit else ""
        label = f"{index + 1} {kind}"
        below = (place[0], top + side + round(2 * unit))
        write(ImageDraw.Draw(picture), below, label, round(20 * unit), _GREY)


def _thumbnail(
    picture: Image.Image, path: Path, place: tuple[int, int], side: int
) -> None:
    if not path.exists():
        box = (*place, place[0] + side, place[1] + side)
        ImageDraw.Draw(picture).rectangle(box, outline=_ACCENT, width=3)
        return
    with Image.open(path) as image:
        picture.paste(ImageOps.contain(image.convert("RGB"), (side, side)), place)


def _runs(text: str) -> list[tuple[str, bool]]:
    runs: list[tuple[str, bool]] = []
    for char in text:
        latin = bool(_LATIN.match(char))
        if runs and runs[-1][1] == latin:
            runs[-1] = (runs[-1][0] + char, latin)
        else:
            runs.append((char, latin))
    return runs


def _width(text: str, size: int) -> float:
    return sum(_font(latin, max(size, 6)).getlength(run) for run, latin in _runs(text))


@cache
def _font(latin: bool, size: int) -> ImageFont.FreeTypeFont:  # noqa: FBT001 - a cache key
    return ImageFont.truetype(BytesIO(_font_bytes(latin)), size)


@cache
def _font_bytes(latin: bool) -> bytes:  # noqa: FBT001 - a cache key
    name = "latin.ttf" if latin else "han.ttf"
    return (files("simulator") / "fonts" / name).read_bytes()
