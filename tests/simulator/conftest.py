"""The simulated site on a free port, and a careful client of it written for tests."""

import asyncio
import io
import json
import socket
import subprocess
import uuid
import wave
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import ClassVar

import httpx
import pytest
import uvicorn
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

from browser_support import found_browser
from simulator import DEMO_SESSIONS, Knobs, Settings, create_app
from simulator.ffmpeg import find
from simulator.world import World

WEB_ID = "7584089465464800001"
QUERY = {
    "aid": "513695",
    "device_platform": "web",
    "region": "cn",
    "webId": WEB_ID,
    "da_version": "3.3.9",
    "web_version": "7.5.0",
    "aigc_features": "app_lip_sync",
}
PLAIN_MODEL = "dreamina_ic_generate_video_model_vgfm_3.0"
PLAIN_BENEFIT = "basic_video_operation_vgfm_v_three"
SEEDANCE = "dreamina_seedance_40"
SEEDANCE_BENEFIT = "dreamina_seedance_20_fast"


def new():
    return str(uuid.uuid4())


def text_input(prompt="a cat", **changes):
    return {
        "type": "",
        "id": new(),
        "min_version": "3.0.5",
        "prompt": prompt,
        "video_mode": 2,
        "fps": 24,
        "duration_ms": 5000,
        "resolution": "720p",
        "idip_meta_list": [],
    } | changes


def image_node(uri):
    return {
        "type": "image",
        "id": new(),
        "source_from": "upload",
        "platform_type": 1,
        "name": "",
        "image_uri": uri,
        "uri": uri,
        "width": 64,
        "height": 48,
        "format": "png",
    }


def omni_input(materials, metas, **changes):
    edit = {"type": "", "id": new(), "material_list": materials, "meta_list": metas}
    wanted = text_input("", min_version="3.3.9", unified_edit_input=edit)
    return wanted | changes


def material(kind, key, duration=4000):
    info = {"type": kind, "id": new(), "vid": key, "duration": duration}
    if kind == "image":
        info = image_node(key)
    return {"type": "", "id": new(), "material_type": kind, f"{kind}_info": info}


def meta(kind, value):
    if kind == "text":
        return {"meta_type": "text", "text": value}
    ref = {"material_idx": value}
    return {"meta_type": kind, "text": "", "material_ref": ref}


def draft_of(wanted, model, *, ratio="16:9", features=()):
    component_id, extra = new(), json.dumps({"promptSource": "custom"})
    params = {
        "type": "",
        "id": new(),
        "video_gen_inputs": [wanted],
        "video_aspect_ratio": ratio,
        "seed": 7,
        "model_req_key": model,
        "priority": 0,
    }
    video = {
        "type": "",
        "id": new(),
        "text_to_video_params": params,
        "video_task_extra": extra,
    }
    component = {
        "type": "video_base_component",
        "id": component_id,
        "min_version": "1.0.0",
        "aigc_mode": "workbench",
        "metadata": {"type": "", "id": new()},
        "generate_type": "gen_video",
        "abilities": {"type": "", "id": new(), "gen_video": video},
        "process_type": 1,
    }
    return {
        "type": "draft",
        "id": new(),
        "min_version": "3.0.5",
        "min_features": list(features),
        "is_from_tsn": True,
        "version": "3.3.9",
        "main_component_id": component_id,
        "component_list": [component],
    }


def image_draft(prompt="a cat"):
    component_id = new()
    size = {"type": "", "id": new(), "width": 1024, "height": 576}
    core = {
        "type": "",
        "id": new(),
        "model": "high_aes_general_v50",
        "prompt": prompt,
        "negative_prompt": "",
        "seed": 7,
        "sample_strength": 0.5,
        "image_ratio": 3,
        "large_image_info": size | {"resolution_type": "1k"},
        "intelligent_ratio": False,
    }
    ability = {"type": "", "id": new(), "core_param": core}
    option = {"type": "", "id": new(), "generate_all": False}
    component = {
        "type": "image_base_component",
        "id": component_id,
        "metadata": {"type": "", "id": new()},
        "generate_type": "generate",
        "abilities": {
            "type": "",
            "id": new(),
            "generate": ability,
            "gen_option": option,
        },
    }
    draft = draft_of(text_input(), PLAIN_MODEL)
    return draft | {"main_component_id": component_id, "component_list": [component]}


def body_of(
    wanted=None,
    *,
    model=PLAIN_MODEL,
    benefit=PLAIN_BENEFIT,
    draft=None,
    ratio="16:9",
    features=(),
    **changes,
):
    info = {
        "benefit_type": benefit,
        "resource_id": "generate_video",
        "resource_id_type": "str",
        "resource_sub_type": "aigc",
    }
    draft = draft or draft_of(
        wanted or text_input(), model, ratio=ratio, features=features
    )
    return {
        "extend": {
            "root_model": model,
            "m_video_commerce_info": info,
            "m_video_commerce_info_list": [info],
        },
        "submit_id": new(),
        "metrics_extra": json.dumps({"promptSource": "custom"}),
        "draft_content": json.dumps(draft, ensure_ascii=False),
        "http_common_info": {"aid": 513695},
    } | changes


def png(colour=(230, 20, 40), size=(64, 48)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def aws_headers(token, method, url, body=b"", *, service="imagex", region="cn-north-1"):
    """The headers botocore, an independent signer, puts on a request."""
    keys = (token["access_key_id"], token["secret_access_key"], token["session_token"])
    request = AWSRequest(method=method, url=url, data=body)
    SigV4Auth(Credentials(*keys), service, region).add_auth(request)
    return dict(request.headers)


class Visitor:
    """One account's plain HTTP client."""

    def __init__(self, http, world, session):
        self.http, self.world, self.session = http, world, session
        self.cookies = {"Cookie": f"sessionid={session}; _tea_web_id={WEB_ID}"}

    @property
    def account(self):
        return self.world.accounts[self.session]

    def change(self, **fields):
        self.world.save_account(self.account.model_copy(update=fields))

    async def post(self, path, body=None, *, query=QUERY, headers=None):
        sent = self.cookies | (headers or {})
        answer = await self.http.post(path, params=query, json=body or {}, headers=sent)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def submit(self, body=None, **kwargs):
        path = "/mweb/v1/aigc_draft/generate"
        return await self.post(path, body or body_of(), **kwargs)

    async def poll(self, submit_id):
        body = {"submit_ids": [submit_id]}
        answer = await self.post("/mweb/v1/get_history_by_ids", body)
        return answer["data"].get(submit_id)

    async def finished(self, body):
        """Submit, wait for the rendering, and return the node with its items."""
        answer = await self.submit(body)
        assert answer["ret"] == "0", answer
        job = self.world.jobs[answer["data"]["aigc_data"]["history_record_id"]]
        await self.world.studio.rendered(job)
        self.world.advance(60)
        await self.poll(body["submit_id"])
        return await self.poll(body["submit_id"])

    async def token(self, scene=2):
        answer = await self.post("/mweb/v1/get_upload_token", {"scene": scene})
        return answer["data"]

    async def signed(self, token, method, query, body=b"", **scope):
        """An AWS4-signed call of an upload service."""
        url = f"{self.http.base_url}?{query}"
        headers = aws_headers(token, method, url, body, **scope)
        if body:
            headers["content-type"] = "application/json"
        return (
            await self.http.request(method, url, content=body, headers=headers)
        ).json()

    async def apply_image(self, token, size):
        query = "Action=ApplyImageUpload&Version=2018-08-01&ServiceId=tb4s082cfz"
        query += f"&FileSize={size}&s=abc"
        return (await self.signed(token, "GET", query))["Result"]["UploadAddress"]

    async def send(self, uri, auth, data, crc=None):
        crc = crc or f"{zlib.crc32(data):08x}"
        headers = {"Authorization": auth, "Content-CRC32": crc}
        path = f"/upload/v1/{uri}"
        return (await self.http.post(path, content=data, headers=headers)).json()

    async def commit_image(self, token, session_key):
        query = "Action=CommitImageUpload&Version=2018-08-01&ServiceId=tb4s082cfz"
        body = json.dumps({"SessionKey": session_key}).encode()
        return await self.signed(token, "POST", query, body)

    async def upload_image(self, data):
        token = await self.token()
        address = await self.apply_image(token, len(data))
        store = address["StoreInfos"][0]
        await self.send(store["StoreUri"], store["Auth"], data)
        answer = await self.commit_image(token, address["SessionKey"])
        assert answer["Result"]["Results"][0]["UriStatus"] == 2000, answer
        return store["StoreUri"]

    async def upload_media(self, data):
        """Upload a video or sound; the answer is its vid and VideoMeta."""
        token, scope = await self.token(1), {"service": "vod"}
        query = "Action=ApplyUploadInner&Version=2020-11-19&SpaceName=dreamina"
        query += f"&FileType=video&IsInner=1&FileSize={len(data)}&s=abc"
        answer = await self.signed(token, "GET", query, **scope)
        node = answer["Result"]["InnerUploadAddress"]["UploadNodes"][0]
        store = node["StoreInfos"][0]
        await self.send(store["StoreUri"], store["Auth"], data)
        query = "Action=CommitUploadInner&Version=2020-11-19&SpaceName=dreamina"
        body = json.dumps({"SessionKey": node["SessionKey"], "Functions": []}).encode()
        return await self.signed(token, "POST", query, body, **scope)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers and its pauses of 0.1 s."""

    def __init__(self, app):
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False))
        self.listening, self.ending = asyncio.Event(), asyncio.Event()

    def capture_signals(self):
        return nullcontext()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self):
        await self.ending.wait()

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(settings) -> AsyncIterator[tuple[httpx.AsyncClient, World]]:
    world = World(settings)
    server = _Server(create_app(settings, world))
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    plain = {
        "trust_env": False,
        "verify": False,
    }  # no TLS here, no certificates to load
    async with httpx.AsyncClient(base_url=url, **plain) as http:
        yield http, world
    server.ending.set()
    await task


@pytest.fixture
def serve():
    """Start a site with settings of one's own."""
    return serving


@pytest.fixture
async def site(tmp_path):
    """A site that renders nothing: for everything but the files."""
    settings = Settings(data=tmp_path, renders=0, knobs=Knobs(sdk_delay_ms=10))
    async with serving(settings) as (http, world):
        yield http, world


@pytest.fixture
async def visitor(site):
    return Visitor(*site, DEMO_SESSIONS[0])


@pytest.fixture
async def other(site):
    return Visitor(*site, DEMO_SESSIONS[1])


@pytest.fixture
async def studio(tmp_path):
    """A visitor of a site that renders."""
    async with serving(Settings(data=tmp_path)) as (http, world):
        yield Visitor(http, world, DEMO_SESSIONS[0])


@pytest.fixture(scope="session")
def kit():
    """The builders of drafts, bodies and media, by name."""
    return Kit


class Kit:
    """What tests build requests with."""

    new = staticmethod(new)
    text_input = staticmethod(text_input)
    omni_input = staticmethod(omni_input)
    material = staticmethod(material)
    meta = staticmethod(meta)
    draft_of = staticmethod(draft_of)
    image_draft = staticmethod(image_draft)
    image_node = staticmethod(image_node)
    body_of = staticmethod(body_of)
    png = staticmethod(png)
    aws_headers = staticmethod(aws_headers)
    Visitor = Visitor
    QUERY = QUERY
    WEB_ID = WEB_ID
    SEEDANCE: ClassVar = {"model": SEEDANCE, "benefit": SEEDANCE_BENEFIT}
    OMNI: ClassVar = {**SEEDANCE, "features": ["AIGC_Video_UnifiedEdit"]}


@pytest.fixture(scope="session")
def chromium():
    """Where a headless Chromium is; the test is skipped where there is none."""
    return found_browser()


@pytest.fixture(scope="session")
def ffmpeg():
    """The ffmpeg the simulator itself would use."""
    return find()


@pytest.fixture(scope="session")
def clip(ffmpeg, tmp_path_factory):
    """One second of a green video."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = "color=c=0x10c020:s=160x120:r=24:d=1"
    arguments = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        source,
        "-c:v",
        "libx264",
        str(path),
    ]
    subprocess.run([ffmpeg, *arguments], check=True)
    return path.read_bytes()


@pytest.fixture(scope="session")
def sound():
    """Four seconds of silence as WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 32_000)
    return out.getvalue()
