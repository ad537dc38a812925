"""Upload credentials, and the calls both upload services have in common."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.call import Call, Endpoint, log_id, noted
from simulator.errors import invalid
from simulator.records import Json, Upload
from simulator.settings import Account
from simulator.signing import (
    SignatureError,
    check_aws4,
    check_date,
    crc32,
    read_claim,
)
from simulator.world import World

_SCENES = {1: "vod", 2: "imagex"}
_CHINA = timezone(timedelta(hours=8))
_AWS_REGIONS = {"cn": "cn-north-1", "us": "us-east-1"}
SERVICE_ID, SERVICE_ID_ABROAD, SPACE = "tb4s082cfz", "wopfjsm1ax", "dreamina"

Action = Callable[[World, Request, Account, bytes], Awaitable[Json]]


async def upload_token(call: Call) -> Json:
    """Short-lived credentials: scene 1 for video and sound, scene 2 for images."""
    service = _SCENES.get(call.body.get("scene", 0))
    if service is None:
        raise invalid("scene")
    world, account = call.world, call.account
    expires = world.now() + world.knobs.credential_seconds
    key, secret, token = _issue(world, account.uid, service, expires)
    abroad = account.region != "cn"
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "session_token": token,
        "service_id": SERVICE_ID,
        "space_name": SERVICE_ID_ABROAD if abroad and service == "imagex" else SPACE,
        "upload_domain": f"{service}.bytedanceapi.com",
        "region": account.region,
        "space_type": 2,
        "expired_time": _iso(expires),
        "current_time": _iso(world.now()),
    }


def aws_call(world: World, service: str, version: str, action: Action) -> Endpoint:
    """An endpoint of an upload service: AWS4-signed, failures in ResponseMetadata."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            account = _authenticate(world, request, service, body)
            noted(request).uid = account.uid
            _check_version(request, version)
            result = await action(world, request, account, body)
        except SignatureError as error:
            return _refused(request, service, error)
        noted(request).verdict = "0"
        metadata = _metadata(request, service)
        return JSONResponse({"ResponseMetadata": metadata, "Result": result})

    return endpoint


def apply(world: World, request: Request, account: Account, prefix: str) -> Upload:
    """Open an upload: a place to send it to, and the authorization for that."""
    size = request.query_params.get("FileSize", "")
    if not size.isdigit() or int(size) == 0:
        raise SignatureError("InvalidParameter", "FileSize")
    service: Any = "imagex" if request.query_params.get("ServiceId") else "vod"
    store_uri = f"{prefix}/{secrets.token_hex(16)}"
    key = store_uri if service == "imagex" else f"v0{secrets.token_hex(15)}"
    fields = {"uri": store_uri, "key": key, "at": int(world.now())}
    upload = Upload(
        key=key,
        uid=account.uid,
        service=service,
        store_uri=store_uri,
        auth=f"SpaceKey/{prefix}/0/:version:v2:{secrets.token_urlsafe(48)}",
        session_key=base64.b64encode(json.dumps(fields).encode()).decode(),
        size=int(size),
    )
    world.save_upload(upload)
    return upload


def opened(world: World, account: Account, body: bytes) -> Upload:
    """The upload a commit means, by its session key, of the same account."""
    try:
        session_key = json.loads(body)["SessionKey"]
        upload = world.uploads[json.loads(base64.b64decode(session_key))["key"]]
    except (ValueError, KeyError, TypeError):
        raise SignatureError("InvalidSessionKey", "no such session key") from None
    if upload.session_key != session_key or upload.uid != account.uid:
        raise SignatureError("InvalidSessionKey", "another account's session key")
    return upload


def receive(world: World) -> Endpoint:
    """The upload host: takes the bytes if authorization, CRC-32 and length fit."""

    async def endpoint(request: Request) -> Response:
        upload = world.by_uri.get(request.path_params["uri"])
        if upload is None or request.headers.get("authorization") != upload.auth:
            return _tos(request, 4010, "invalid authorization")
        noted(request).uid = upload.uid
        data = await request.body()
        if request.headers.get("content-crc32") != crc32(data):
            return _tos(request, 4024, "mismatched crc32")
        if len(data) != upload.size:
            return _tos(request, 4008, "mismatched size")
        await asyncio.to_thread(_keep, Path(world.upload_path(upload.key)), data)
        upload.state = "sent" if upload.state == "applied" else upload.state
        world.save_upload(upload)
        return _tos(request, 2000, "Success", {"crc32": crc32(data)})

    return endpoint


def _check_version(request: Request, version: str) -> None:
    if request.query_params.get("Version") != version:
        raise SignatureError("InvalidActionOrVersion", "unknown version")


def _authenticate(world: World, request: Request, service: str, body: bytes) -> Account:
    headers = request.headers
    claim = read_claim(headers)
    token = headers.get("x-amz-security-token", "")
    issued = _read_token(world, token)
    if issued["key"] != claim.access_key or issued["service"] != claim.service:
        raise SignatureError("InvalidAccessKeyId", "not the key of this token")
    account = world.account_by_uid(issued["uid"])
    if (claim.service, claim.region) != (service, aws_region(account)):
        raise SignatureError("SignatureDoesNotMatch", "service or region of the scope")
    check_date(claim, headers, time.time())
    check_aws4(
        claim,
        _secret(world, claim.access_key),
        method=request.method,
        raw_query=request.scope["query_string"].decode(),
        headers=headers,
        body=body,
    )
    if world.now() > issued["expires"]:
        raise SignatureError("ExpiredToken", "the security token has expired")
    return account


def aws_region(account: Account) -> str:
    """The region an account's upload calls are signed for."""
    return _AWS_REGIONS.get(account.region, "ap-southeast-1")


def _issue(
    world: World, uid: str, service: str, expires: float
) -> tuple[str, str, str]:
    key = f"AKTP{secrets.token_hex(16)}"
    fields = {"key": key, "uid": uid, "service": service, "expires": expires}
    payload = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    token = f"STS2{payload}.{world.sign('sts', payload)}"
    return key, _secret(world, key), token


def _secret(world: World, access_key: str) -> str:
    return base64.b64encode(world.sign("secret", access_key).encode()).decode()


def _read_token(world: World, token: str) -> Json:
    payload, _, signature = token.removeprefix("STS2").partition(".")
    if signature != world.sign("sts", payload):
        raise SignatureError("InvalidSecurityToken", "unknown security token")
    fields: Json = json.loads(base64.urlsafe_b64decode(payload))
    return fields


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _tos(
    request: Request, code: int, message: str, data: Json | None = None
) -> Response:
    noted(request).verdict = str(code)
    fields = {"code": code, "apiversion": "v1", "message": message, "data": data}
    return JSONResponse(fields)


def _metadata(request: Request, service: str) -> Json:
    return {
        "RequestId": log_id(),
        "Action": request.query_params.get("Action", ""),
        "Version": request.query_params.get("Version", ""),
        "Service": service,
        "Region": "cn-north-1",
    }


def _refused(request: Request, service: str, error: SignatureError) -> Response:
    noted(request).verdict = error.code
    said = {"Code": error.code, "Message": str(error)}
    metadata = {**_metadata(request, service), "Error": said}
    return JSONResponse({"ResponseMetadata": metadata})


def _iso(moment: float) -> str:
    local = datetime.fromtimestamp(moment, UTC).astimezone(_CHINA)
    return local.isoformat(timespec="seconds")
