import pytest
from hypothesis import given
from hypothesis import strategies as st

from jimeng import MODELS, InvalidJob, Mode, check_lengths, find_model, fit, mode_of

IMAGE, VIDEO, AUDIO = "image", "video", "audio"
VIDEOS = {name: model for name, model in MODELS.items() if model.kind == "video"}
names = st.sampled_from(sorted(VIDEOS))


def refused(**fields):
    with pytest.raises(InvalidJob) as caught:
        fit(**{"prompt": "a cat"} | fields)
    return caught.value.field


def test_the_defaults_are_four_seconds_upright_on_seedance():
    job = fit(prompt="a cat")
    assert job.model.key == "dreamina_seedance_40_pro"
    assert (job.duration, job.ratio, job.resolution) == (4, "9:16", "720p")
    assert job.mode is Mode.TEXT


@pytest.mark.parametrize(
    ("model", "duration", "resolution"),
    [
        ("jimeng-video-3.0", 5, "720p"),
        ("jimeng-video-3.0-pro", 5, "1080p"),
        ("jimeng-video-veo3", 8, "720p"),
        ("jimeng-video-sora2", 4, "720p"),
        ("seedance-2.5-draft", 5, "480p"),
        ("seedance-2.5", 4, "720p"),
    ],
)
def test_defaults_are_fitted_to_the_model(model, duration, resolution):
    job = fit(prompt="a cat", model=model)
    assert (job.duration, job.resolution) == (duration, resolution)


@given(names)
def test_the_defaults_fit_every_model(name):
    assert fit(prompt="a cat", model=name).model is VIDEOS[name]


@given(names, st.integers(-1, 40))
def test_a_chosen_duration_is_kept_or_refused_but_never_changed(name, duration):
    allowed = VIDEOS[name].durations
    if duration in allowed:
        assert fit(prompt="x", model=name, duration=duration).duration == duration
    else:
        assert refused(model=name, duration=duration) == "duration"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "sora9"}, "model"),
        ({"model": ""}, "model"),
        ({"duration": 5.0}, "duration"),
        ({"duration": "5"}, "duration"),
        ({"duration": True}, "duration"),
        ({"ratio": "2:1"}, "ratio"),
        ({"ratio": ""}, "ratio"),
        ({"resolution": "1080p"}, "resolution"),
        ({"resolution": "720P"}, "resolution"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "x" * 15_001}, "prompt"),
        ({"prompt": "@1 dances"}, "prompt"),
        ({"region": "us"}, "model"),
        ({"model": "jimeng-video-veo3", "region": "cn"}, "model"),
        ({"function_mode": "multi_frame"}, "function_mode"),
        ({"function_mode": "omni_reference"}, "files"),
        ({"files": [IMAGE], "function_mode": "text"}, "files"),
        ({"files": [AUDIO]}, "files"),
        ({"files": [IMAGE] * 10}, "files"),
        ({"files": [VIDEO] * 4}, "files"),
        ({"files": [IMAGE] + [AUDIO] * 4}, "files"),
        ({"files": [IMAGE] * 9 + [VIDEO] * 2 + [AUDIO] * 2}, "files"),
        ({"files": [VIDEO], "function_mode": "first_last_frames"}, "files"),
        ({"files": [IMAGE] * 3, "function_mode": "first_last_frames"}, "files"),
        ({"files": [IMAGE] * 2, "function_mode": "first_frame"}, "files"),
        ({"files": [IMAGE] * 2, "model": "jimeng-video-3.0-pro"}, "files"),
        ({"files": [VIDEO], "model": "jimeng-video-3.0"}, "files"),
        (
            {
                "files": [IMAGE],
                "model": "jimeng-video-3.0",
                "function_mode": "omni_reference",
            },
            "function_mode",
        ),
    ],
)
def test_what_the_model_does_not_allow_names_its_field(fields, field):
    assert refused(**fields) == field


@pytest.mark.parametrize(
    ("model", "function_mode", "files", "mode"),
    [
        ("seedance-2.0", None, [], Mode.TEXT),
        ("seedance-2.0", None, [IMAGE], Mode.OMNI),
        ("seedance-2.0", None, [VIDEO, AUDIO], Mode.OMNI),
        ("seedance-2.0", "first_last_frames", [], Mode.TEXT),
        ("seedance-2.0", "first_last_frames", [IMAGE], Mode.FIRST_FRAME),
        ("seedance-2.0", "first_last_frames", [IMAGE] * 2, Mode.FIRST_LAST),
        ("seedance-2.0", " Omni_Reference ", [IMAGE], Mode.OMNI),
        ("jimeng-video-3.0", None, [IMAGE], Mode.FIRST_FRAME),
        ("jimeng-video-3.0", None, [IMAGE] * 2, Mode.FIRST_LAST),
        ("jimeng-video-3.5-pro", "first_frame", [IMAGE], Mode.FIRST_FRAME),
    ],
)
def test_the_mode_follows_from_model_word_and_files(model, function_mode, files, mode):
    assert mode_of(find_model(model), function_mode, files) is mode
    job = fit(prompt="x", model=model, function_mode=function_mode, files=files)
    assert job.mode is mode


def test_an_omni_job_may_have_all_nine_images_and_three_videos():
    job = fit(prompt="", files=[IMAGE] * 9 + [VIDEO] * 3)
    assert len(job.files) == 12


def test_the_newest_model_takes_fifty_files():
    files = [IMAGE] * 30 + [VIDEO] * 10 + [AUDIO] * 10
    assert len(fit(prompt="", model="seedance-2.5", files=files).files) == 50


@pytest.mark.parametrize(
    ("files", "lengths", "fine"),
    [
        ([VIDEO, VIDEO], [7_000, 8_000], True),
        ([VIDEO, VIDEO], [8_000, 8_000], False),
        ([VIDEO], [15_001], False),
        ([IMAGE, AUDIO], [None, 1_999], False),
        ([IMAGE, AUDIO], [None, 2_000], True),
        ([IMAGE, AUDIO], [None, 15_001], False),
        ([IMAGE, VIDEO], [None, None], True),
    ],
)
def test_lengths_of_references_are_held_against_the_model(files, lengths, fine):
    job = fit(prompt="x", files=files)
    if fine:
        check_lengths(job, lengths)
        return
    with pytest.raises(InvalidJob) as caught:
        check_lengths(job, lengths)
    assert caught.value.field == "files"
