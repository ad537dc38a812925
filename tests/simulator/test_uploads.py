"""Uploads: credentials, AWS4 by an independent signer, authorization, CRC, metadata."""

import json

import pytest

APPLY = "Action=ApplyImageUpload&Version=2018-08-01&ServiceId=tb4s082cfz&FileSize=157"


async def test_an_image_goes_through_and_its_real_size_comes_back(visitor, kit):
    data = kit.png(size=(640, 480))
    token = await visitor.token()
    address = await visitor.apply_image(token, len(data))
    store = address["StoreInfos"][0]
    assert address["UploadHosts"] == [visitor.http.base_url.netloc.decode()]
    sent = await visitor.send(store["StoreUri"], store["Auth"], data)
    answer = await visitor.commit_image(token, address["SessionKey"])
    plugin = answer["Result"]["PluginResult"][0]
    assert (sent["code"], sent["message"]) == (2000, "Success")
    assert answer["Result"]["Results"] == [
        {"Uri": store["StoreUri"], "UriStatus": 2000}
    ]
    assert (plugin["ImageWidth"], plugin["ImageHeight"]) == (640, 480)
    assert (plugin["ImageFormat"], plugin["ImageSize"]) == ("png", len(data))


async def test_a_signed_content_type_and_host_count_too(visitor, kit):
    token = await visitor.token()
    url = f"{visitor.http.base_url}?{APPLY}"
    headers = kit.aws_headers(token, "GET", url)
    assert "SignedHeaders=host;" in headers["Authorization"]
    answer = (await visitor.http.get(url, headers=headers)).json()
    assert "Error" not in answer["ResponseMetadata"]


def error(answer):
    return answer["ResponseMetadata"]["Error"]["Code"]


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({"region": "us-east-1"}, "SignatureDoesNotMatch"),
        ({"service": "vod"}, "InvalidAccessKeyId"),
    ],
)
async def test_a_scope_of_another_region_or_service_is_refused(visitor, scope, code):
    answer = await visitor.signed(await visitor.token(), "GET", APPLY, **scope)
    assert error(answer) == code


async def test_a_wrong_secret_is_refused(visitor):
    token = await visitor.token() | {"secret_access_key": "wrong"}
    answer = await visitor.signed(token, "GET", APPLY)
    assert error(answer) == "SignatureDoesNotMatch"
    assert answer["ResponseMetadata"]["Error"]["Message"]


async def test_a_query_changed_after_signing_is_refused(visitor, kit):
    url = f"{visitor.http.base_url}?{APPLY}"
    headers = kit.aws_headers(await visitor.token(), "GET", url)
    answer = (await visitor.http.get(f"{url}8", headers=headers)).json()
    assert error(answer) == "SignatureDoesNotMatch"


async def test_a_forged_security_token_is_refused(visitor):
    token = await visitor.token()
    forged = token | {"session_token": token["session_token"][:-1] + "x"}
    answer = await visitor.signed(forged, "GET", APPLY)
    assert error(answer) == "InvalidSecurityToken"


async def test_credentials_expire(visitor):
    token = await visitor.token()
    visitor.world.advance(3700)
    assert error(await visitor.signed(token, "GET", APPLY)) == "ExpiredToken"


async def test_an_unsigned_call_is_refused(visitor):
    answer = (await visitor.http.get(f"/?{APPLY}")).json()
    assert error(answer) == "MissingAuthenticationToken"


@pytest.mark.parametrize("crc", ["00000000", "CBF43926"])
async def test_a_wrong_crc_is_refused_and_the_commit_says_so(visitor, kit, crc):
    token = await visitor.token()
    address = await visitor.apply_image(token, 100)
    store = address["StoreInfos"][0]
    sent = await visitor.send(store["StoreUri"], store["Auth"], b"x" * 100, crc)
    answer = await visitor.commit_image(token, address["SessionKey"])
    assert sent["code"] != 2000
    assert answer["Result"]["Results"][0]["UriStatus"] != 2000


async def test_a_wrong_authorization_or_size_is_refused(visitor):
    address = await visitor.apply_image(await visitor.token(), 100)
    store = address["StoreInfos"][0]
    wrong = await visitor.send(store["StoreUri"], "SpaceKey/x", b"x" * 100)
    short = await visitor.send(store["StoreUri"], store["Auth"], b"x" * 99)
    assert wrong["code"] != 2000
    assert short["code"] != 2000


async def test_bytes_that_are_no_image_are_refused_at_the_commit(visitor):
    token = await visitor.token()
    address = await visitor.apply_image(token, 4)
    store = address["StoreInfos"][0]
    await visitor.send(store["StoreUri"], store["Auth"], b"text")
    answer = await visitor.commit_image(token, address["SessionKey"])
    assert answer["Result"]["Results"][0]["UriStatus"] != 2000


async def test_another_account_cannot_commit(visitor, other):
    address = await visitor.apply_image(await visitor.token(), 4)
    answer = await other.commit_image(await other.token(), address["SessionKey"])
    assert error(answer) == "InvalidSessionKey"


async def test_the_same_bytes_twice_get_two_uris(visitor, kit):
    uris = [await visitor.upload_image(kit.png()) for _ in range(2)]
    assert len(set(uris)) == 2


async def test_a_video_comes_back_with_its_length_in_seconds(visitor, clip):
    answer = await visitor.upload_media(clip)
    result = answer["Result"]["Results"][0]
    found = result["VideoMeta"]
    assert result["Vid"].startswith("v0")
    assert (found["Width"], found["Height"]) == (160, 120)
    assert found["Duration"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("mode", "told"), [("always", True), ("never", False)])
async def test_a_sound_may_come_back_without_its_length(visitor, sound, mode, told):
    visitor.world.knobs.audio_duration = mode
    answer = await visitor.upload_media(sound)
    found = answer["Result"]["Results"][0]["VideoMeta"]
    assert (found["Width"], found["Height"]) == (0, 0)
    assert ("Duration" in found) == told


async def test_an_unknown_session_key_is_refused(visitor):
    answer = await visitor.commit_image(await visitor.token(), json.dumps({}))
    assert error(answer) == "InvalidSessionKey"
