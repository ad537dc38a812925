"""The parts that every draft is made of. Every object in it has an id of its own."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zlib import crc32

from jimeng.materials import Uploaded

Object = dict[str, Any]


class Tree:
    """Makes the objects of one submit's draft; `ids` gives a new uuid at each call."""

    def __init__(self, submit_id: str, now: datetime, ids: Callable[[], str]) -> None:
        self.submit_id = submit_id
        self.new_id = ids
        self._now = now

    def object(self, kind: str = "", /, **fields: Any) -> Object:
        """An object with a type, mostly an empty one, and its id."""
        return {"type": kind, "id": self.new_id(), **fields}

    def draft(
        self, component: Object, *, version: str, least: str, features: list[str]
    ) -> Object:
        """The whole: it says which version of the page it is of, and which it needs."""
        return self.object(
            "draft",
            min_version=least,
            min_features=features,
            is_from_tsn=True,
            version=version,
            main_component_id=component["id"],
            component_list=[component],
        )

    def metadata(self) -> Object:
        """Where and when a component was made."""
        return self.object(
            created_platform=3,
            created_platform_version="",
            created_time_in_ms=str(int(self._now.timestamp() * 1000)),
            created_did="",
        )

    def seed(self, given: int | None) -> int:
        """The seed asked for, else one that every send of this submit has in common."""
        return crc32(self.submit_id.encode()) if given is None else given

    def image(self, each: Uploaded) -> Object:
        """An uploaded image."""
        return self.object(
            "image",
            source_from="upload",
            platform_type=1,
            name="",
            image_uri=each.uri,
            uri=each.uri,
            width=each.width,
            height=each.height,
            format=each.format,
        )


def json_of(value: Any) -> str:
    """JSON as the page writes it: nothing escaped, nothing padded."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
