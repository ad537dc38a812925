"""The reference picture of the first video: a fox in the snow, drawn here."""

from pathlib import Path

SIZE = (768, 768)
SNOW, SKY = (238, 244, 250), (168, 198, 226)
FUR, DARK, WHITE = (226, 116, 38), (64, 40, 30), (252, 248, 242)


def draw_fox(file: Path) -> None:
    """Write the picture as PNG."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", SIZE, SKY)
    pen = ImageDraw.Draw(image)
    pen.ellipse((-300, 480, 1068, 1300), fill=SNOW)
    for left in (True, False):
        ear = [(190, 130), (220, 360), (360, 290)]
        pen.polygon([p if left else (768 - p[0], p[1]) for p in ear], fill=FUR)
        inner = [(215, 190), (236, 310), (310, 280)]
        pen.polygon([p if left else (768 - p[0], p[1]) for p in inner], fill=DARK)
    pen.polygon([(200, 300), (568, 300), (660, 430), (384, 640), (108, 430)], fill=FUR)
    pen.polygon([(108, 430), (300, 450), (384, 640)], fill=WHITE)
    pen.polygon([(660, 430), (468, 450), (384, 640)], fill=WHITE)
    for x in (290, 478):
        pen.ellipse((x - 22, 396, x + 22, 440), fill=DARK)
        pen.ellipse((x - 8, 402, x + 4, 414), fill=WHITE)
    pen.ellipse((352, 590, 416, 645), fill=DARK)
    for n in range(60):
        x, y = (n * 197) % 768, (n * n * 89) % 768
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255))
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
