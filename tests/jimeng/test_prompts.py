import pytest
from hypothesis import given
from hypothesis import strategies as st

from jimeng import InvalidJob
from jimeng.prompts import segments, unified

I, V, A = "image", "video", "audio"  # noqa: E741
MIXED = [V, I, A, I, V]
kinds = st.lists(st.sampled_from([I, V, A]), max_size=12)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("plain", ["plain"]),
        ("@1 dances like @2", [0, " dances like ", 1]),
        ("@image1@IMAGE2", [0, 1]),
        ("让@图1跳舞", ["让", 0, "跳舞"]),
        ("@图片3", [2]),
        ("@image_file_1 and @Image_File_2", [1, " and ", 3]),
        ("@video_file_2 to @audio_file_1", [4, " to ", 2]),
        ("@image_file, @video_file", [1, ", ", 0]),
        ("@ 1, a@b", ["@ 1, a@b"]),
        ("@1st", [0, "st"]),
    ],
)
def test_references_point_at_the_files_in_order(prompt, expected):
    assert segments(prompt, MIXED) == expected


def test_digits_are_taken_whole():
    assert segments("@12", [I] * 12) == [11]
    assert segments("@1 2", [I] * 12) == [0, " 2"]


@pytest.mark.parametrize(
    "prompt",
    [
        "@0",
        "@6",
        "@image6",
        "@image_file_3",
        "@video_file_0",
        "@audio_file_2",
        "@10",
        "@" + "9" * 400,
    ],
)
def test_a_reference_to_a_file_that_is_not_there_is_an_error(prompt):
    with pytest.raises(InvalidJob) as caught:
        segments(f"x {prompt} y", MIXED)
    assert caught.value.field == "prompt"


def test_without_a_reference_every_file_is_named():
    assert unified("跳舞", [I, V]) == [
        "使用",
        0,
        "和",
        1,
        "素材\N{FULLWIDTH COMMA}跳舞",
    ]
    assert unified("", [I]) == ["使用", 0, "素材生成视频"]


def test_with_a_reference_the_prompt_is_left_as_it_is():
    assert unified("@2 walks", [I, V]) == [1, " walks"]


@given(st.text(), kinds)
def test_no_text_of_a_prompt_is_lost(prompt, files):
    try:
        parts = segments(prompt, files)
    except InvalidJob:
        return
    rest = prompt
    for part in parts:
        if isinstance(part, str):
            found = rest.index(part)
            rest = rest[found + len(part) :]
    assert all(isinstance(p, str) or 0 <= p < len(files) for p in parts)
    assert "".join(p for p in parts if isinstance(p, str)) == prompt or any(
        isinstance(p, int) for p in parts
    )


@given(kinds.filter(len), st.data())
def test_counting_within_a_kind_finds_that_kind(files, data):
    index = data.draw(st.integers(0, len(files) - 1))
    kind = files[index]
    nth = files[: index + 1].count(kind)
    assert segments(f"@{kind}_file_{nth}", files) == [index]
