"""Image jobs: their models, how they are fitted, and their drafts."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest

from jimeng import (
    DEFAULT_IMAGE_MODEL,
    MODELS,
    SIZES,
    Account,
    ImageJob,
    InvalidJob,
    Uploaded,
    VideoJob,
    check_lengths,
    draft,
    find_model,
    fit,
    shape_of,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)
CN = Account.parse("0123456789abcdef0123456789abcdef")
A, B = (
    Uploaded(kind="image", uri=f"tos-cn-i-x/{each}", width=64, height=48, format="png")
    for each in ("aa", "bb")
)
IMAGES = sorted(name for name, model in MODELS.items() if model.kind == "image")
VIDEOS = sorted(name for name, model in MODELS.items() if model.kind == "video")


def make(materials=(), **fields):
    numbers = count()
    kinds = [each.kind for each in materials]
    job = fit(
        **{"prompt": "a cat", "model": DEFAULT_IMAGE_MODEL, "files": kinds, "seed": 7}
        | fields
    )
    return draft(
        job,
        list(materials),
        submit_id="sid-1",
        account=CN,
        now=NOW,
        ids=lambda: f"id-{next(numbers)}",
    )


def body_of(made):
    return json.loads(made.body)


def draft_of(made):
    return bare(json.loads(body_of(made)["draft_content"]))


def bare(value):
    """The tree without its ids, which are told apart elsewhere."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: bare(each) for name, each in value.items()}
    if "type" in found:
        assert found.pop("id")
    found.pop("main_component_id", None)
    return found


def core(**changes):
    size = {"type": "", "min_version": "3.0.2", "height": 1440, "width": 2560}
    return {
        "type": "",
        "model": "high_aes_general_v50",
        "prompt": "a cat",
        "negative_prompt": "",
        "seed": 7,
        "sample_strength": 0.5,
        "image_ratio": 3,
        "large_image_info": size | {"resolution_type": "2k"},
        "intelligent_ratio": False,
        "generate_type": 0,
    } | changes


METADATA = {
    "type": "",
    "created_platform": 3,
    "created_platform_version": "",
    "created_time_in_ms": "1795176000123",
    "created_did": "",
}
OPTION = {"type": "", "generate_all": False}


def whole(name, ability, least):
    component = {
        "type": "image_base_component",
        "min_version": "3.0.2",
        "aigc_mode": "workbench",
        "metadata": METADATA,
        "generate_type": name,
        "abilities": {"type": "", name: ability, "gen_option": OPTION},
        "process_type": 1,
    }
    return {
        "type": "draft",
        "min_version": least,
        "min_features": [],
        "is_from_tsn": True,
        "version": "3.3.9",
        "component_list": [component],
    }


def test_a_picture_from_text_is_drafted_as_the_page_drafts_it():
    made = make(ratio="16:9")
    ability = {"type": "", "core_param": core()}
    assert draft_of(made) == whole("generate", ability, "3.0.2")
    assert made.referer == "/ai-tool/generate?type=image"
    assert made.path == "/mweb/v1/aigc_draft/generate"


def edit(uri):
    image = {
        "type": "image",
        "source_from": "upload",
        "platform_type": 1,
        "name": "",
        "image_uri": uri,
        "uri": uri,
        "width": 0,
        "height": 0,
        "format": "",
    }
    return {
        "type": "",
        "name": "byte_edit",
        "image_uri_list": [uri],
        "image_list": [image],
        "strength": 0.5,
    }


def test_a_picture_from_pictures_is_a_blend_with_a_mark_for_each():
    ability = {
        "type": "",
        "min_features": [],
        "min_version": "3.2.9",
        "core_param": core(prompt="####a cat"),
        "ability_list": [edit("tos-cn-i-x/aa"), edit("tos-cn-i-x/bb")],
        "prompt_placeholder_info_list": [
            {"type": "", "ability_index": 0},
            {"type": "", "ability_index": 1},
        ],
        "postedit_param": {"type": "", "generate_type": 0},
    }
    made = make([A, B], ratio="16:9")
    assert draft_of(made) == whole("blend", ability, "3.2.9")
    alone = draft_of(make([A], ratio="16:9"))
    (component,) = alone["component_list"]
    assert "min_version" not in component["abilities"]["blend"]
    assert component["abilities"]["blend"]["core_param"]["prompt"] == "##a cat"


def test_an_image_is_billed_by_its_model_alone_and_counted_as_an_image():
    body = body_of(make([A]))
    assert body["extend"] == {"root_model": "high_aes_general_v50"}
    assert (body["submit_id"], body["http_common_info"]) == ("sid-1", {"aid": 513695})
    metrics = json.loads(body["metrics_extra"])
    (scene,) = json.loads(metrics.pop("sceneOptions"))
    assert metrics == {
        "promptSource": "custom",
        "generateCount": 1,
        "enterFrom": "click",
        "position": "page_bottom_box",
        "isBoxSelect": False,
        "isCutout": False,
        "generateId": "sid-1",
        "isRegenerate": False,
    }
    assert (scene["type"], scene["scene"]) == ("image", "ImageBasicGenerate")
    assert (scene["resolutionType"], scene["benefitCount"]) == ("2k", 4)
    (ability,) = scene["abilityList"]
    assert ability["source"]["imageUrl"].startswith("blob:https://jimeng.jianying.com/")


def test_the_same_arguments_give_the_same_bytes_and_every_object_its_own_id():
    assert make([A, B]) == make([A, B])
    text = body_of(make([A, B]))["draft_content"]
    ids = [part.split('"')[0] for part in text.split('"id":"')[1:]]
    assert len(ids) == len(set(ids)) > 10


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_model_makes_image_jobs_by_its_name_and_by_its_key(name):
    model = find_model(name)
    for each in (name, name.upper(), model.key, model.key.upper()):
        job = fit(prompt="a cat", model=each)
        assert isinstance(job, ImageJob)
        assert job.model is model
        assert not job.model.in_page
        check_lengths(job, [])


@pytest.mark.parametrize("name", VIDEOS)
def test_a_name_that_begins_like_an_image_models_stays_a_video(name):
    for each in (name, find_model(name).key):
        assert isinstance(fit(prompt="a cat", model=each), VideoJob)


@pytest.mark.parametrize(
    "name", ["jimeng-", "jimen", "jimeng-9.0", "jimeng-video", "image", "dall-e-3", ""]
)
def test_a_name_that_is_nearly_one_is_none(name):
    with pytest.raises(InvalidJob) as caught:
        fit(prompt="a cat", model=name)
    assert caught.value.field == "model"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ratio": "2:1"}, "ratio"),
        ({"resolution": "720p"}, "resolution"),
        ({"resolution": "8k"}, "resolution"),
        ({"model": "jimeng-3.0", "resolution": "4k"}, "resolution"),
        ({"duration": 5}, "duration"),
        ({"function_mode": "omni_reference"}, "function_mode"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 15_001}, "prompt"),
        ({"seed": 2**32}, "seed"),
        ({"files": ["video"]}, "files"),
        ({"files": ["image", "audio"]}, "files"),
        ({"files": ["image"] * 11}, "files"),
        ({"model": "jimeng-3.0", "files": ["image"] * 2}, "files"),
        ({"model": "jimeng-2.1", "files": ["image"]}, "files"),
        ({"model": "nanobanana", "region": "cn"}, "model"),
        ({"region": "us"}, "model"),
    ],
)
def test_what_the_model_does_not_take_is_refused_by_field(fields, field):
    with pytest.raises(InvalidJob) as caught:
        fit(**{"prompt": "a cat", "model": "jimeng-5.0"} | fields)
    assert caught.value.field == field


def test_the_defaults_are_square_and_2k_or_what_the_model_has():
    job = fit(prompt="a cat", model="jimeng-5.0")
    assert (job.ratio, job.resolution, job.size) == ("1:1", "2k", (2048, 2048))
    assert fit(prompt="a cat", model="jimeng-2.1").resolution == "1k"
    assert fit(prompt="", model="jimeng-5.0", files=["image"], duration=0)


def test_there_are_24_sizes_each_of_one_resolution_and_ratio():
    known = [
        (size, (resolution, ratio))
        for resolution, sizes in SIZES.items()
        for ratio, size in sizes.items()
    ]
    assert len({size for size, _ in known}) == 24
    assert all(shape_of(*size) == shape for size, shape in known)
    assert shape_of(768, 1024) == ("1k", "3:4")
    assert shape_of(5404, 3040) == ("4k", "16:9")
    assert shape_of(999, 999) is None


def test_width_and_height_are_the_way_round_the_ratio_says():
    for sizes in SIZES.values():
        for ratio, (width, height) in sizes.items():
            across, down = map(int, ratio.split(":"))
            assert width / height == pytest.approx(across / down, rel=0.01)


def test_the_newest_models_have_a_4k_of_their_own():
    new = fit(prompt="x", model="jimeng-5.0", resolution="4k", ratio="16:9")
    old = fit(prompt="x", model="jimeng-4.0", resolution="4k", ratio="16:9")
    assert (new.size, old.size) == ((5404, 3040), (5120, 2880))
