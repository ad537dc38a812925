"""What a media file really is: type by content, size, duration, dimensions."""

from media.poster import PosterError, poster
from media.probing import NotMediaError, Probed, probe
from media.types import Kind

__all__ = [
    "Kind",
    "NotMediaError",
    "PosterError",
    "Probed",
    "poster",
    "probe",
]
