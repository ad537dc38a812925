"""The files of a job: their kinds, and what they are once the site has them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FileKind = Literal["image", "video", "audio"]


class Uploaded(BaseModel):
    """A file the site has. Images have a `uri`, video and audio a `vid`."""

    model_config = ConfigDict(frozen=True)

    kind: FileKind
    uri: str = ""
    vid: str = ""
    width: int = 0
    height: int = 0
    duration_ms: int = 0
    format: str = ""
    name: str = ""
