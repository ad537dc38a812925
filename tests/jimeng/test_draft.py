import json
from datetime import UTC, datetime
from itertools import count

import pytest

from jimeng import Account, InvalidJob, Uploaded, Upstream, draft, fit

NOW = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)
CN = Account.parse("0123456789abcdef0123456789abcdef")
IMAGE = Uploaded(
    kind="image", uri="tos-cn-i-x/aa", width=64, height=48, format="png", name="a.png"
)
LAST = IMAGE.model_copy(update={"uri": "tos-cn-i-x/bb"})
VIDEO = Uploaded(
    kind="video", vid="v01", width=1280, height=720, duration_ms=4000, name="a.mp4"
)
AUDIO = Uploaded(kind="audio", vid="v02", duration_ms=3000, name="a.wav")


def make(materials=(), account=CN, **fields):
    numbers = count()
    job = fit(
        **{"prompt": "a cat", "files": [each.kind for each in materials]} | fields
    )
    return draft(
        job,
        list(materials),
        submit_id="sid-1",
        account=account,
        now=NOW,
        ids=lambda: f"id-{next(numbers)}",
    )


def body_of(submission):
    return json.loads(submission.body)


def tree_of(submission):
    return json.loads(body_of(submission)["draft_content"])


def gen_of(submission):
    return tree_of(submission)["component_list"][0]["abilities"]["gen_video"]


def params_of(submission):
    return gen_of(submission)["text_to_video_params"]


def input_of(submission):
    (only,) = params_of(submission)["video_gen_inputs"]
    return only


def test_a_video_from_text_has_one_plain_input():
    made = make(model="jimeng-video-3.0", duration=5, ratio="16:9", seed=7)
    assert input_of(made) == {
        "type": "",
        "id": input_of(made)["id"],
        "min_version": "3.0.5",
        "prompt": "a cat",
        "video_mode": 2,
        "fps": 24,
        "duration_ms": 5000,
        "resolution": "720p",
        "idip_meta_list": [],
    }
    params = params_of(made)
    assert params["video_aspect_ratio"] == "16:9"
    assert params["seed"] == 7
    assert params["model_req_key"] == "dreamina_ic_generate_video_model_vgfm_3.0"


def test_the_outer_body_is_billed_and_names_its_submit_id():
    made = make()
    body = body_of(made)
    assert set(body) == {
        "extend",
        "submit_id",
        "metrics_extra",
        "draft_content",
        "http_common_info",
    }
    assert body["submit_id"] == "sid-1"
    assert body["http_common_info"] == {"aid": 513695}
    commerce = body["extend"]["m_video_commerce_info"]
    assert commerce["benefit_type"] == "dreamina_video_seedance_20_pro"
    assert body["extend"]["m_video_commerce_info_list"] == [commerce]
    assert body["extend"]["root_model"] == "dreamina_seedance_40_pro"


def test_the_metrics_are_repeated_inside_the_draft():
    made = make()
    metrics = body_of(made)["metrics_extra"]
    assert gen_of(made)["video_task_extra"] == metrics
    assert json.loads(metrics)["originSubmitId"] == "sid-1"
    (scene,) = json.loads(json.loads(metrics)["sceneOptions"])
    assert scene["modelReqKey"] == "dreamina_seedance_40_pro"
    assert scene["videoDuration"] == 4


def test_every_object_with_a_type_has_an_id_of_its_own():
    found = []

    def walk(value):
        if isinstance(value, dict):
            if "type" in value:
                found.append(value["id"])
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(tree_of(make([IMAGE, VIDEO, AUDIO])))
    assert len(found) == len(set(found)) > 10


def test_the_component_is_the_main_one_and_says_when_it_was_made():
    tree = tree_of(make())
    (component,) = tree["component_list"]
    assert tree["main_component_id"] == component["id"]
    assert tree["version"] == "3.3.9"
    assert tree["min_version"] == "3.0.5"
    assert component["metadata"]["created_time_in_ms"] == "1795176000123"


def test_a_first_frame_carries_the_uploaded_image():
    made = make([IMAGE], model="jimeng-video-3.0")
    frame = input_of(made)["first_frame_image"]
    assert frame["image_uri"] == frame["uri"] == "tos-cn-i-x/aa"
    assert (frame["width"], frame["height"], frame["format"]) == (64, 48, "png")
    assert "end_frame_image" not in input_of(made)
    assert input_of(made)["prompt"] == "a cat"


def test_first_and_last_frame_keep_their_order():
    made = make([IMAGE, LAST], function_mode="first_last_frames")
    frames = input_of(made)
    assert frames["first_frame_image"]["uri"] == "tos-cn-i-x/aa"
    assert frames["end_frame_image"]["uri"] == "tos-cn-i-x/bb"
    assert "unified_edit_input" not in frames


def test_an_omni_job_lists_its_material_and_cuts_its_prompt():
    made = make([IMAGE, VIDEO, AUDIO], prompt="@1 dances like @2 to @3")
    tree, only = tree_of(made), input_of(made)
    assert tree["min_features"] == ["AIGC_Video_UnifiedEdit"]
    assert tree["min_version"] == only["min_version"] == "3.3.9"
    assert only["prompt"] == ""
    edit = only["unified_edit_input"]
    assert edit["meta_list"] == [
        {"meta_type": "image", "text": "", "material_ref": {"material_idx": 0}},
        {"meta_type": "text", "text": " dances like "},
        {"meta_type": "video", "text": "", "material_ref": {"material_idx": 1}},
        {"meta_type": "text", "text": " to "},
        {"meta_type": "audio", "text": "", "material_ref": {"material_idx": 2}},
    ]
    image, video, audio = edit["material_list"]
    assert image["image_info"]["image_uri"] == "tos-cn-i-x/aa"
    assert video["video_info"]["vid"] == "v01"
    assert video["video_info"]["duration"] == 4000
    assert audio["audio_info"]["vid"] == "v02"
    assert audio["audio_info"]["duration"] == 3000


def test_an_omni_job_says_what_it_is_and_pays_for_a_video():
    made = make([IMAGE, VIDEO, AUDIO])
    metrics = json.loads(body_of(made)["metrics_extra"])
    (scene,) = json.loads(metrics["sceneOptions"])
    assert metrics["functionMode"] == "omni_reference"
    assert scene["materialTypes"] == [1, 2, 3]
    billed = body_of(made)["extend"]["m_video_commerce_info"]["benefit_type"]
    assert billed == "dreamina_video_seedance_20_pro_with_video"


def test_the_newest_model_needs_its_own_draft_version():
    made = make([IMAGE], model="seedance-2.5")
    assert tree_of(made)["version"] == tree_of(made)["min_version"] == "3.3.28"
    assert made.query["da_version"] == "3.3.28"
    assert input_of(made)["resolution"] == "720p"


def test_a_draft_of_the_newest_model_says_so():
    made = make(model="seedance-2.5-draft")
    assert tree_of(made)["min_features"] == ["AIGC_Video_Seedance25ResultAction"]
    assert json.loads(body_of(made)["metrics_extra"])["videoStage"] == "draft"
    assert gen_of(made)["is_draft_mode"] is True


def test_the_resolution_is_left_out_where_the_model_does_not_take_it():
    assert "resolution" not in input_of(make())
    assert input_of(make(model="seedance-2.0-vip", resolution="4k"))["resolution"]


def test_the_same_arguments_give_the_same_bytes():
    assert make([IMAGE]) == make([IMAGE])


def test_the_seed_is_a_uint32_taken_from_the_submit_id():
    assert 0 <= params_of(make())["seed"] < 2**32


@pytest.mark.parametrize("materials", [[], [VIDEO], [IMAGE, IMAGE]])
def test_materials_that_are_not_the_job_s_files_are_refused(materials):
    job = fit(prompt="x", files=["image"])
    with pytest.raises(InvalidJob) as caught:
        draft(job, materials, submit_id="s", account=CN, now=NOW, ids=lambda: "i")
    assert caught.value.field == "files"


def test_a_file_whose_length_nobody_knows_is_refused_before_it_is_billed():
    with pytest.raises(InvalidJob):
        make([IMAGE, AUDIO.model_copy(update={"duration_ms": 0})])


def test_a_model_of_another_region_is_refused_before_anything_is_sent():
    with pytest.raises(InvalidJob):
        make(account=Account.parse("us-0123456789abcdef"))


def test_the_url_is_absolute_and_unsigned():
    made = make()
    url = made.url(Upstream(), "cn")
    host = "https://jimeng.jianying.com"
    assert url.startswith(f"{host}/mweb/v1/aigc_draft/generate?aid=513695&")
    assert f"webId={CN.web_id}" in url
    assert "a_bogus" not in url
    assert made.referer == "/ai-tool/generate?type=video"
    assert made.url(Upstream("http://127.0.0.1:9"), "cn").startswith("http://127.0")


def test_an_upload_survives_json():
    assert Uploaded.model_validate_json(VIDEO.model_dump_json()) == VIDEO


def test_no_secret_enters_a_submission():
    assert CN.sessionid.get_secret_value() not in repr(make([IMAGE]))
