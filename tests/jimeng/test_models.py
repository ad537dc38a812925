import pytest

from jimeng import DEFAULT_MODEL, MODELS, InvalidJob, find_model

VGFM = "dreamina_ic_generate_video_model_vgfm"


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (
            "jimeng-video-seedance-2.0 seedance-2.0 seedance-2.0-pro",
            "dreamina_seedance_40_pro",
        ),
        ("jimeng-video-seedance-2.0-fast seedance-2.0-fast", "dreamina_seedance_40"),
        ("seedance-2.0-mini", "dreamina_seedance_40_mini"),
        ("seedance-2.0-vip", "dreamina_seedance_40_pro_vision"),
        ("seedance-2.0-fast-vip", "dreamina_seedance_40_vision"),
        ("seedance-2.0-lite seedance-1-lite", "seedance_2_0_lite"),
        ("seedance-2.5", "dreamina_seedance_45_pro"),
        ("seedance-2.5-draft", "dreamina_seedance_45_pro_draft"),
        ("jimeng-video-3.5-pro seedance-1.5-pro", f"{VGFM}_3.5_pro"),
        ("jimeng-video-3.0-pro", f"{VGFM}_3.0_pro"),
        ("jimeng-video-3.0", f"{VGFM}_3.0"),
        ("jimeng-video-3.0-fast", f"{VGFM}_3.0_fast"),
        ("jimeng-video-2.0 jimeng-video-s2.0", f"{VGFM}_lite"),
        ("jimeng-video-2.0-pro", f"{VGFM}1.0"),
        ("jimeng-video-veo3", "dreamina_veo3_generate_video"),
        ("jimeng-video-veo3.1", "dreamina_veo3.1_generate_video"),
        ("jimeng-video-sora2", "dreamina_sora2_generate_video"),
    ],
)
def test_every_public_name_and_the_key_itself_find_the_model(names, key):
    for name in [*names.split(), key, key.upper()]:
        assert find_model(name).key == key


def test_an_unknown_model_is_an_error_and_never_another_model():
    with pytest.raises(InvalidJob) as caught:
        find_model("seedance-9")
    assert caught.value.field == "model"


def test_names_belong_to_one_model_only():
    assert len(MODELS) == sum(len(m.names) for m in set(MODELS.values()))
    assert MODELS[DEFAULT_MODEL].key == "dreamina_seedance_40_pro"


def test_only_the_site_s_own_seedance_keys_go_through_its_page():
    in_page = {model.key for model in MODELS.values() if model.in_page}
    assert in_page == {
        "dreamina_seedance_40",
        "dreamina_seedance_40_mini",
        "dreamina_seedance_40_pro",
        "dreamina_seedance_40_pro_vision",
        "dreamina_seedance_40_vision",
        "dreamina_seedance_45_pro",
        "dreamina_seedance_45_pro_draft",
    }


@pytest.mark.parametrize(
    ("name", "resolution", "plain", "with_video"),
    [
        (
            "seedance-2.0",
            "720p",
            "dreamina_video_seedance_20_pro",
            "dreamina_video_seedance_20_pro_with_video",
        ),
        (
            "seedance-2.0-fast",
            "720p",
            "dreamina_seedance_20_fast",
            "dreamina_seedance_20_fast_with_video",
        ),
        (
            "seedance-2.0-lite",
            "720p",
            "seedance_2_0_lite",
            "seedance_2_0_lite_with_video",
        ),
        (
            "seedance-2.0-vip",
            "4k",
            "seedance_20_pro_4k_output",
            "seedance_20_pro_4k_output",
        ),
        (
            "seedance-2.0-fast-vip",
            "720p",
            "seedance_20_fast_720p_output",
            "seedance_20_fast_720p_output",
        ),
        (
            "seedance-2.0-mini",
            "720p",
            "seedance_20_mini_720p_output",
            "seedance_20_mini_720p_output",
        ),
        (
            "seedance-2.5",
            "1080p",
            "seedance_25_1080p_output",
            "seedance_25_1080p_output",
        ),
        (
            "jimeng-video-3.0",
            "1080p",
            "basic_video_operation_vgfm_v_three_1080",
            "basic_video_operation_vgfm_v_three_1080",
        ),
        (
            "jimeng-video-2.0",
            "720p",
            "basic_video_operation_vgfm_v_three",
            "basic_video_operation_vgfm_v_three",
        ),
        (
            "jimeng-video-3.0-pro",
            "1080p",
            "basic_video_operation_vgfm_v_three_pro",
            "basic_video_operation_vgfm_v_three_pro",
        ),
        (
            "jimeng-video-3.5-pro",
            "720p",
            "dreamina_video_seedance_15_pro",
            "dreamina_video_seedance_15_pro",
        ),
        (
            "jimeng-video-veo3.1",
            "720p",
            "generate_video_veo3.1",
            "generate_video_veo3.1",
        ),
    ],
)
def test_each_model_is_billed_by_its_own_key(name, resolution, plain, with_video):
    model = find_model(name)
    assert model.benefit_type(resolution) == plain
    assert model.benefit_type(resolution, has_video=True) == with_video
