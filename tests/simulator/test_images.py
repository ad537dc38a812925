"""Image drafts: what the simulator takes, and what it refuses."""

import json

import pytest

MODEL = "high_aes_general_v50"
ASKED = {"model": MODEL, "extend": {"root_model": MODEL}}


async def taken(visitor, kit, draft, **changes):
    body = kit.body_of(draft=draft, **ASKED | changes)
    return (await visitor.submit(body))["ret"]


def parts(draft):
    component = draft["component_list"][0]
    abilities = component["abilities"]
    ability = abilities["generate"]
    core = ability["core_param"]
    return {
        "draft": draft,
        "component": component,
        "abilities": abilities,
        "generate": ability,
        "core": core,
        "size": core["large_image_info"],
    }


async def test_a_picture_is_ordered_as_the_draft_says(visitor, kit):
    assert await taken(visitor, kit, kit.image_draft("a cat")) == "0"
    (job,) = visitor.world.jobs.values()
    order = job.order
    assert (order.kind, order.mode, order.prompt) == ("image", "generate", "a cat")
    assert (order.width, order.height) == (1024, 576)
    assert (order.ratio, order.resolution) == ("16:9", "1k")
    assert len(job.item_ids) == 4


async def test_the_option_may_stand_inside_and_the_ratio_be_left_to_the_site(
    visitor, kit
):
    draft = kit.image_draft()
    found = parts(draft)
    found["generate"]["gen_option"] = found["abilities"].pop("gen_option")
    found["core"]["intelligent_ratio"] = True
    del found["core"]["image_ratio"]
    assert await taken(visitor, kit, draft) == "0"


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("draft", {"min_version": "3.0.1"}),
        ("draft", {"min_version": "3.9.9"}),
        ("component", {"generate_type": "gen_video"}),
        ("component", {"generate_type": "blend"}),
        ("abilities", {"gen_option": {}}),
        ("abilities", {"id": "none"}),
        ("core", {"model": "dreamina_ic_generate_video_model_vgfm_3.0"}),
        ("core", {"model": "high_aes_general_v9"}),
        ("core", {"prompt": " "}),
        ("core", {"negative_prompt": None}),
        ("core", {"sample_strength": 2}),
        ("core", {"sample_strength": True}),
        ("core", {"image_ratio": 1}),
        ("core", {"image_ratio": "16:9"}),
        ("core", {"seed": 2**32}),
        ("size", {"width": 1000}),
        ("size", {"width": 576, "height": 1024}),
        ("size", {"resolution_type": "2k"}),
        ("size", {"resolution_type": "8k"}),
    ],
    ids=str,
)
async def test_a_draft_that_does_not_agree_with_itself_is_refused(
    visitor, kit, part, changes
):
    draft = kit.image_draft()
    parts(draft)[part].update(changes)
    assert await taken(visitor, kit, draft) == "1000"
    assert not visitor.world.jobs


async def test_a_model_offered_abroad_alone_is_refused_in_china(visitor, kit):
    key = "external_model_gemini_flash_image_v25"
    draft = kit.image_draft()
    parts(draft)["core"]["model"] = key
    asked = {"model": key, "extend": {"root_model": key}}
    assert await taken(visitor, kit, draft, **asked) == "3021"


async def test_the_model_that_is_billed_is_the_one_of_the_draft(visitor, kit):
    extend = {"root_model": "high_aes_general_v40"}
    assert await taken(visitor, kit, kit.image_draft(), extend=extend) == "1000"


async def test_a_picture_the_check_refuses_is_told_and_has_no_link(visitor, kit):
    draft = kit.image_draft("[[pictures:2]] a cat")
    visitor.world.knobs.instant = True
    body = kit.body_of(draft=draft, **ASKED)
    assert (await visitor.submit(body))["ret"] == "0"
    path, asked = "/mweb/v1/get_history_by_ids", {"submit_ids": [body["submit_id"]]}
    node = (await visitor.post(path, asked))["data"][body["submit_id"]]
    codes = [item["gen_result_data"]["result_code"] for item in node["item_list"]]
    links = [len(item["image"]["large_images"]) for item in node["item_list"]]
    assert (codes, links) == ([0, 0, 2039, 2039], [1, 1, 0, 0])
    wrong = await visitor.post(path, asked | {"image_info": "big"})
    assert wrong["ret"] == "1000", json.dumps(wrong)
