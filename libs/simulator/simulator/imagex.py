"""ImageX: where images are applied for and committed."""

import hashlib
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from starlette.requests import Request

from simulator.records import Json, Upload
from simulator.settings import Account
from simulator.signing import SignatureError
from simulator.uploads import SERVICE_ID, SERVICE_ID_ABROAD, apply, opened
from simulator.world import World

VERSION = "2018-08-01"
_OK, _NOT_FOUND, _NOT_AN_IMAGE = 2000, 2001, 2004


async def apply_image(
    world: World, request: Request, account: Account, _body: bytes
) -> Json:
    """ApplyImageUpload: a store uri, and this host as the upload host."""
    service_id = _service(request, account)
    upload = apply(world, request, account, f"tos-cn-i-{service_id}")
    store = {
        "StoreUri": upload.store_uri,
        "Auth": upload.auth,
        "UploadID": upload.session_key[-16:],
    }
    address = {
        "StoreInfos": [store],
        "UploadHosts": [request.url.netloc],
        "UploadHeader": None,
        "SessionKey": upload.session_key,
        "Cloud": "",
    }
    return {"UploadAddress": address, "RequestId": upload.session_key[-16:]}


async def commit_image(
    world: World, request: Request, account: Account, body: bytes
) -> Json:
    """CommitImageUpload: the uri if the bytes came and are an image, its real size."""
    _service(request, account)
    upload = opened(world, account, body)
    meta = _look(world, upload)
    status = _status(request, upload, meta)
    if status == _OK:
        upload.state, upload.meta = "committed", meta or {}
        world.save_upload(upload)
    plugin = [meta] if meta else []
    results = [{"Uri": upload.store_uri, "UriStatus": status}]
    return {"Results": results, "PluginResult": plugin, "RequestId": ""}


def _service(request: Request, account: Account) -> str:
    expected = SERVICE_ID if account.region == "cn" else SERVICE_ID_ABROAD
    if request.query_params.get("ServiceId") != expected:
        raise SignatureError("InvalidServiceId", "no such service")
    return expected


def _status(request: Request, upload: Upload, meta: Json | None) -> int:
    fault = request.scope.get("fault")
    if upload.state == "applied" or (fault and fault.fault == "uri_status"):
        return _NOT_FOUND
    return _OK if meta else _NOT_AN_IMAGE


def _look(world: World, upload: Upload) -> Json | None:
    path = Path(world.upload_path(upload.key))
    try:
        with Image.open(path) as image:
            image.verify()
            size, form = image.size, (image.format or "").lower()
            frames = getattr(image, "n_frames", 1)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None
    data = path.read_bytes()
    return {
        "FileName": upload.store_uri.rpartition("/")[2],
        "SourceUri": upload.store_uri,
        "ImageUri": upload.store_uri,
        "ImageWidth": size[0],
        "ImageHeight": size[1],
        "ImageMd5": hashlib.md5(data).hexdigest(),  # noqa: S324 - the site's choice
        "ImageFormat": form,
        "ImageSize": len(data),
        "FrameCnt": frames,
    }
