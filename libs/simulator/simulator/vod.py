"""VOD: where videos and sounds are applied for and committed."""

import asyncio
import hashlib
from pathlib import Path

from starlette.requests import Request

from simulator import ffmpeg
from simulator.records import Json, Upload
from simulator.settings import Account
from simulator.signing import SignatureError
from simulator.uploads import SPACE, apply, opened
from simulator.world import World

VERSION = "2020-11-19"
_PREFIX = "tos-cn-v-148450"


async def apply_upload(
    world: World, request: Request, account: Account, _body: bytes
) -> Json:
    """ApplyUploadInner: FileType is `video` for a sound as well."""
    _space(request)
    query = request.query_params
    if query.get("FileType") != "video" or query.get("IsInner") != "1":
        raise SignatureError("InvalidParameter", "FileType or IsInner")
    upload = apply(world, request, account, _PREFIX)
    store = {
        "StoreUri": upload.store_uri,
        "Auth": upload.auth,
        "UploadID": upload.session_key[-16:],
    }
    node = {
        "Vid": upload.key,
        "UploadHost": request.url.netloc,
        "SessionKey": upload.session_key,
        "Type": "",
        "StoreInfos": [store],
    }
    return {"InnerUploadAddress": {"UploadNodes": [node]}}


async def commit_upload(
    world: World, request: Request, account: Account, body: bytes
) -> Json:
    """CommitUploadInner: the vid, and what ffmpeg sees in the file."""
    _space(request)
    upload = opened(world, account, body)
    if upload.state == "applied":
        raise SignatureError("InvalidUpload", "nothing was uploaded")
    path = Path(world.upload_path(upload.key))
    data = await asyncio.to_thread(path.read_bytes)
    found = await ffmpeg.probe(ffmpeg.find(world.settings.ffmpeg), path)
    if found is None:
        raise SignatureError("InvalidMedia", "not a media file")
    upload.state, upload.meta = "committed", found
    world.save_upload(upload)
    meta = _video_meta(world, upload, data)
    return {"Results": [{"Vid": upload.key, "VideoMeta": meta}]}


def _space(request: Request) -> None:
    if request.query_params.get("SpaceName") != SPACE:
        raise SignatureError("InvalidSpace", "no such space")


def _video_meta(world: World, upload: Upload, data: bytes) -> Json:
    found = upload.meta
    meta: Json = {
        "Uri": upload.store_uri,
        "Width": found.get("width", 0),
        "Height": found.get("height", 0),
        "Duration": found["duration"],
        "Bitrate": found.get("bitrate", 0),
        "Md5": hashlib.md5(data).hexdigest(),  # noqa: S324 - the site's choice
        "Format": "MP4" if "width" in found else "MP3",
        "Codec": found.get("codec", ""),
        "Size": len(data),
        "Fps": found.get("fps", 0),
    }
    if "width" not in found and _keeps_length_to_itself(world, data):
        del meta["Duration"]
    return meta


def _keeps_length_to_itself(world: World, data: bytes) -> bool:
    """The site leaves Duration out for some sounds: here, for an even file size."""
    mode = world.knobs.audio_duration
    return mode == "never" or (mode == "sometimes" and len(data) % 2 == 0)
