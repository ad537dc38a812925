"""The sizes of pictures: what an image draft may ask for."""

RATIOS = ("1:1", "3:4", "16:9", "4:3", "9:16", "2:3", "3:2", "21:9")
"""In the order of their codes, which begin with 1."""

_SIZES = {
    "1k": "1024x1024 768x1024 1024x576 1024x768 576x1024 682x1024 1024x682 1195x512",
    "2k": "2048x2048 1728x2304 2560x1440 2304x1728 1440x2560 1664x2496 2496x1664 "
    "3024x1296",
    "4k": "4096x4096 3456x4608 5120x2880 4608x3456 2880x5120 3328x4992 4992x3328 "
    "6048x2592",
}
_OWN_4K = (
    "4096x4096 3520x4693 5404x3040 4693x3520 3040x5404 3328x4992 4992x3328 6197x2656"
)
"""Of the newest models, as the site's configuration has it."""

_NEWEST = ("high_aes_general_v50", "dreamina_image_lib_1")


def sizes(model: str, resolution: str) -> list[tuple[int, int]]:
    """Width and height by ratio; none for a resolution that is none."""
    own = resolution == "4k" and model.startswith(_NEWEST)
    listed = _OWN_4K if own else _SIZES.get(resolution, "")
    return [_pair(each) for each in listed.split()]


def _pair(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)
