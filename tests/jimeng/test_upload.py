import json
from datetime import UTC, datetime
from zlib import crc32

import pytest

from jimeng import Account, BadAnswer, Jimeng, Refused, UploadFailed, Upstream
from jimeng.signing import Keys, aws4_headers

SESSION = "0123456789abcdef0123456789abcdef"
TOKEN = "/mweb/v1/get_upload_token"
IMAGE_PUT = "/upload/v1/tos-cn-i-x/aa"
MEDIA_PUT = "/upload/v1/tos-cn-v-x/bb"
PNG = b"\x89PNG" + b"x" * 153
KEYS = {
    "access_key_id": "AKTPsim",
    "secret_access_key": "c2VjcmV0",
    "session_token": "STS2sim",
    "service_id": "tb4s082cfz",
    "space_name": "dreamina",
}


@pytest.fixture
def services(site, say, ok):
    """The three steps of both upload services, each of them well."""
    host = site.origin.removeprefix("http://")
    store = {"StoreUri": "tos-cn-i-x/aa", "Auth": "SpaceKey/x/1/:version:v2:jwt"}
    address = {"StoreInfos": [store], "UploadHosts": [host], "SessionKey": "U0s="}
    node = {
        "Vid": "v01",
        "UploadHost": host,
        "SessionKey": "Vk8=",
        "StoreInfos": [{"StoreUri": "tos-cn-v-x/bb", "Auth": "SpaceKey/y"}],
    }
    image = {
        "Results": [{"Uri": "tos-cn-i-x/aa", "UriStatus": 2000}],
        "PluginResult": [{"ImageWidth": 64, "ImageHeight": 48, "ImageFormat": "png"}],
    }
    meta = {"Uri": "tos-cn-v-x/bb", "Width": 1280, "Height": 720, "Duration": 4.0004}
    video = {"Results": [{"Vid": "v01", "VideoMeta": meta | {"Format": "MP4"}}]}
    site.on(TOKEN, ok(KEYS))
    site.on("ApplyImageUpload", say({"Result": {"UploadAddress": address}}))
    site.on("CommitImageUpload", say({"Result": image}))
    inner = {"InnerUploadAddress": {"UploadNodes": [node]}}
    site.on("ApplyUploadInner", say({"Result": inner}))
    site.on("CommitUploadInner", say({"Result": video}))
    for path in (IMAGE_PUT, MEDIA_PUT):
        site.on(path, say({"code": 2000, "message": "Success"}))
    return site


async def test_an_image_goes_up_in_four_calls(services, client):
    uploaded = await client.upload_image(PNG, name="a.png")
    assert uploaded.model_dump() == {
        "kind": "image",
        "uri": "tos-cn-i-x/aa",
        "vid": "",
        "width": 64,
        "height": 48,
        "duration_ms": 0,
        "format": "png",
        "name": "a.png",
    }
    token, apply, put, commit = services.seen
    assert token.json() == {"scene": 2}
    assert apply.method == "GET"
    assert apply.query["ServiceId"] == "tb4s082cfz"
    assert apply.query["FileSize"] == str(len(PNG))
    assert put.body == PNG
    assert put.headers["authorization"] == "SpaceKey/x/1/:version:v2:jwt"
    assert put.headers["content-crc32"] == f"{crc32(PNG):08x}"
    assert put.headers["content-disposition"] == 'attachment; filename="undefined"'
    assert commit.json() == {"SessionKey": "U0s="}


async def test_upload_calls_are_signed_over_what_was_sent(services, client):
    await client.upload_image(PNG)
    for seen in (*services.of("ApplyImageUpload"), *services.of("CommitImageUpload")):
        date = datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007
        keys = Keys("AKTPsim", "c2VjcmV0", "STS2sim", "imagex", "cn-north-1")
        expected = aws4_headers(
            keys, seen.method, seen.query, seen.body, date.replace(tzinfo=UTC)
        )
        assert seen.headers["authorization"] == expected["authorization"]
        assert seen.headers["x-amz-security-token"] == "STS2sim"


async def test_no_upload_service_gets_the_cookies(services, client):
    await client.upload_image(PNG)
    assert "cookie" in services.seen[0].headers
    assert not any("cookie" in seen.headers for seen in services.seen[1:])


async def test_a_video_goes_up_as_a_video(services, client):
    uploaded = await client.upload_media("video", b"mp4", name="a.mp4")
    assert (uploaded.kind, uploaded.vid) == ("video", "v01")
    assert (uploaded.width, uploaded.height) == (1280, 720)
    assert uploaded.duration_ms == 4000
    token, apply, put, commit = services.seen
    assert token.json() == {"scene": 1}
    assert apply.query["SpaceName"] == "dreamina"
    assert apply.query["FileType"] == "video"
    assert put.path == MEDIA_PUT
    assert commit.json() == {"SessionKey": "Vk8=", "Functions": []}


async def test_audio_goes_up_as_a_video_and_keeps_the_length_the_caller_knows(
    services, client, say
):
    meta = {"Uri": "u", "Width": 0, "Height": 0, "Duration": 0}
    result = {"Results": [{"Vid": "v02", "VideoMeta": meta}]}
    services.on("CommitUploadInner", say({"Result": result}))
    uploaded = await client.upload("audio", b"wav", name="a.wav", duration_ms=2500)
    assert (uploaded.kind, uploaded.vid, uploaded.duration_ms) == ("audio", "v02", 2500)
    assert services.of("ApplyUploadInner")[0].query["FileType"] == "video"


async def test_international_images_name_their_space(services):
    account = Account.parse(f"us-{SESSION}")
    async with Jimeng(account, Upstream(services.origin)) as client:
        await client.upload("image", PNG)
    (apply,) = services.of("ApplyImageUpload")
    assert apply.query["ServiceId"] == "dreamina"
    assert apply.query["device_platform"] == "web"
    assert "/us-east-1/imagex/" in apply.headers["authorization"]


async def test_a_big_file_is_streamed_from_disk(services, client, tmp_path):
    path = tmp_path / "big.mp4"
    path.write_bytes(b"0123456789abcdef" * 500_000)
    uploaded = await client.upload_media("video", path)
    assert uploaded.name == "big.mp4"
    (seen,) = services.of(MEDIA_PUT)
    assert seen.headers["content-length"] == "8000000"
    assert seen.body == path.read_bytes()
    assert "transfer-encoding" not in seen.headers
    assert seen.headers["content-crc32"] == f"{crc32(seen.body):08x}"


@pytest.mark.parametrize("source", ["/nowhere/a.png", b"", "/"])
async def test_a_file_that_cannot_be_read_fails_before_anything_is_sent(
    services, client, source
):
    with pytest.raises(UploadFailed) as caught:
        await client.upload_image(source, name="a.png")
    assert caught.value.name == "a.png"
    assert not caught.value.temporary
    assert services.seen == []


@pytest.mark.parametrize(
    ("step", "reply", "temporary"),
    [
        (
            "ApplyImageUpload",
            {"ResponseMetadata": {"Error": {"Code": "SignatureDoesNotMatch"}}},
            False,
        ),
        ("ApplyImageUpload", {"Result": {}}, True),
        ("ApplyImageUpload", {"Result": {"UploadAddress": {"StoreInfos": []}}}, True),
        (
            "ApplyImageUpload",
            {
                "Result": {
                    "UploadAddress": {
                        "StoreInfos": [{"StoreUri": "a", "Auth": "b"}],
                        "UploadHosts": ["user@evil.example/x?"],
                    }
                }
            },
            True,
        ),
        (IMAGE_PUT, {"code": 4000, "message": "crc"}, False),
        (IMAGE_PUT, {}, False),
        ("CommitImageUpload", {"Result": {"Results": [{"UriStatus": 2000}]}}, True),
        (
            "CommitImageUpload",
            {"Result": {"Results": [{"Uri": "x", "UriStatus": 2001}]}},
            True,
        ),
        ("CommitImageUpload", {"Result": None}, True),
    ],
)
async def test_every_step_that_goes_wrong_fails_the_file(
    services, client, say, *, step, reply, temporary
):
    services.on(step, say(reply))
    with pytest.raises(UploadFailed) as caught:
        await client.upload_image(PNG, name="a.png")
    assert caught.value.name == "a.png"
    assert caught.value.temporary is temporary


@pytest.mark.parametrize("step", ["ApplyUploadInner", MEDIA_PUT, "CommitUploadInner"])
async def test_a_broken_service_is_temporary(services, client, say, step):
    for reply in (say(cut=True), say(b"<html>", status=502)):
        services.on(step, reply)
        with pytest.raises(UploadFailed) as caught:
            await client.upload_media("video", b"mp4")
        assert caught.value.temporary


async def test_a_video_without_an_id_was_not_taken(services, client, say):
    services.on("CommitUploadInner", say({"Result": {"Results": [{}]}}))
    with pytest.raises(UploadFailed):
        await client.upload_media("video", b"mp4")


async def test_what_a_failed_upload_keeps_has_no_secrets(services, client, say):
    body = {"ResponseMetadata": {"Error": {"Code": "X", "Message": "STS2sim"}}}
    services.on("ApplyImageUpload", say(body | {"Auth": "SpaceKey/secret"}))
    with pytest.raises(UploadFailed) as caught:
        await client.upload_image(PNG)
    assert json.loads(caught.value.answer)["Auth"] == "***"
    assert "STS2sim" not in caught.value.answer


async def test_a_refused_token_is_the_account_s_refusal(services, client, no, ok):
    services.on(TOKEN, no("1015"))
    with pytest.raises(Refused):
        await client.upload_image(PNG)
    services.on(TOKEN, ok({"access_key_id": "x"}))
    with pytest.raises(BadAnswer):
        await client.upload_image(PNG)
