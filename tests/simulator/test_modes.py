"""The rarer ways of asking: frames, a subject, a blend, 2.5, accounts abroad."""

import json

import pytest

from simulator.uploads import SERVICE_ID_ABROAD

ABROAD = {"aid": "513641", "region": "US"}


@pytest.fixture
async def images(visitor, kit):
    return [await visitor.upload_image(kit.png()) for _ in range(2)]


def frames(kit, images):
    def one(index, uri):
        info = {"type": "", "id": kit.new(), "image_info": kit.image_node(uri)}
        head = {"type": "", "id": kit.new(), "idx": index, "duration_ms": 3000}
        return head | {"prompt": f"scene {index}", "media_info": info}

    return [one(index, uri) for index, uri in enumerate(images)]


async def ordered(visitor, body):
    answer = await visitor.submit(body)
    assert answer["ret"] == "0", answer
    return visitor.world.jobs[answer["data"]["aigc_data"]["history_record_id"]].order


async def test_several_frames_make_one_film(visitor, kit, images):
    fields = {"multi_frames": frames(kit, images), "duration_ms": 6000}
    wanted = kit.text_input("", video_mode=1, **fields)
    features = ["AIGC_GenerateType_VideoMultiFrame"]
    order = await ordered(visitor, kit.body_of(wanted, features=features))
    assert (order.prompt, order.seconds) == ("scene 0 → scene 1", 6)
    assert (await visitor.submit(kit.body_of(wanted)))["ret"] == "1000"


async def test_a_subject_is_named_in_the_meta_list(visitor, kit, images):
    metas = [{"meta_type": "idip_frame", "text": ""}]
    metas.append({"meta_type": "text", "text": "dances"})
    nodes = [kit.image_node(uri) for uri in images]
    wanted = kit.text_input("", idip_frames=nodes, idip_meta_list=metas)
    features = ["AIGC_GenerateType_VideoIdipFrame"]
    order = await ordered(visitor, kit.body_of(wanted, features=features))
    assert (order.prompt, len(order.references)) == ("dances", 2)


def blend(kit, images, prompt):
    draft = kit.image_draft(prompt)
    component = draft["component_list"][0]
    ability = component["abilities"].pop("generate")
    ability["ability_list"] = [
        {
            "type": "",
            "id": kit.new(),
            "name": "byte_edit",
            "image_uri_list": [uri],
            "image_list": [kit.image_node(uri)],
            "strength": 0.5,
        }
        for uri in images
    ]
    ability["prompt_placeholder_info_list"] = [
        {"type": "", "id": kit.new(), "ability_index": index}
        for index, _ in enumerate(images)
    ]
    ability["postedit_param"] = {"type": "", "id": kit.new(), "generate_type": 0}
    ability["min_version"] = "3.2.9"
    component["abilities"]["blend"] = ability
    component["generate_type"] = "blend"
    return draft | {"min_version": "3.2.9"}


async def test_a_blend_takes_images_and_marks_them_in_the_prompt(visitor, kit, images):
    model = "high_aes_general_v50"
    fields = {"model": model, "extend": {"root_model": model}}
    body = kit.body_of(draft=blend(kit, images, "####a cat"), **fields)
    order = await ordered(visitor, body)
    assert (order.prompt, len(order.references)) == ("a cat", 2)
    unmarked = kit.body_of(draft=blend(kit, images, "a cat"), **fields)
    assert (await visitor.submit(unmarked))["ret"] == "1000"


@pytest.mark.parametrize(("version", "ret"), [("3.3.9", "1000"), ("3.3.28", "0")])
async def test_a_new_model_needs_a_draft_of_its_own_version(visitor, kit, version, ret):
    visitor.world.knobs.require_abogus = []
    model = "dreamina_seedance_45_pro"
    wanted = kit.text_input(resolution="480p", duration_ms=4000)
    draft = kit.draft_of(wanted, model) | {"version": version}
    benefit = "seedance_25_480p_no_input_video_output"
    body = kit.body_of(draft=draft, model=model, benefit=benefit)
    assert (await visitor.submit(body))["ret"] == ret


async def test_an_account_abroad_has_other_numbers_and_no_web_id(visitor, kit):
    visitor.change(region="us")
    query = {k: v for k, v in kit.QUERY.items() if k != "webId"} | ABROAD
    body = kit.body_of(http_common_info={"aid": 513641})
    assert (await visitor.submit(body, query=query))["ret"] == "0"
    assert (await visitor.submit())["ret"] == "3000"
    visitor.world.knobs.require_abogus = []
    elsewhere = kit.body_of(**kit.SEEDANCE, http_common_info={"aid": 513641})
    assert (await visitor.submit(elsewhere, query=query))["ret"] == "3021"


async def test_uploads_abroad_are_signed_for_another_region(visitor, kit):
    visitor.change(region="us")
    answer = await visitor.post(
        "/mweb/v1/get_upload_token", {"scene": 2}, query=kit.QUERY | ABROAD
    )
    token = answer["data"]
    action = "Action=ApplyImageUpload&Version=2018-08-01"
    query = f"{action}&ServiceId={SERVICE_ID_ABROAD}&FileSize=9"
    assert token["space_name"] == SERVICE_ID_ABROAD
    right = await visitor.signed(token, "GET", query, region="us-east-1")
    wrong = await visitor.signed(token, "GET", query)
    assert "Result" in right
    assert wrong["ResponseMetadata"]["Error"]["Code"] == "SignatureDoesNotMatch"


async def test_a_commit_may_fail_on_demand(visitor, kit):
    fault = {"kind": "commit", "fault": "uri_status", "times": 1}
    await visitor.http.post("/_sim/faults", content=json.dumps(fault))
    with pytest.raises(AssertionError, match="2001"):
        await visitor.upload_image(kit.png())
    assert await visitor.upload_image(kit.png())
