import json
from base64 import b64encode

import pytest

from jimeng.results import read_item

URL = "https://v9-artist.vlabvod.com/a?sig=1"


def encoded(url):
    return b64encode(url.encode()).decode()


def model(**video):
    return json.dumps({"video_duration": 5.017, "video_list": {"video_1": video}})


@pytest.mark.parametrize(
    "raw",
    [
        {"common_attr": {"transcoded_video": {"origin": {"video_url": URL}}}},
        {"video": {"transcoded_video": {"origin": {"video_url": URL}}}},
        {"video": {"transcoded_video": {"720p": {"video_url": URL}}}},
        {"video": {"origin_video": {"video_url": URL}}},
        {"video": {"play_url": URL}},
        {"video": {"download_url": URL}},
        {"video": {"url": URL}},
        {"video": {"video_model": model(main_url=encoded(URL))}},
        {"video": {"video_model": json.loads(model(main_url=encoded(URL)))}},
        {"video": {"video_model": model(main_url=URL)}},
        {"video": {"video_model": model(backup_url_1=encoded(URL))}},
        {"image": {"large_images": [{"image_url": URL}]}},
        {"common_attr": {"item_urls": ["", URL]}},
    ],
)
def test_every_form_of_a_link_is_found(raw):
    assert [link.url for link in read_item(raw).links] == [URL]


def test_a_real_video_item_is_read_whole():
    rendition = {
        "fps": 24,
        "width": 960,
        "height": 960,
        "duration": 0,
        "video_url": URL,
        "format": "mp4",
        "definition": "origin",
        "size": 4424231,
    }
    item = read_item(
        {
            "common_attr": {
                "id": "7605524120645700874",
                "cover_url": "https://p26/cover",
                "item_urls": [""],
            },
            "video": {
                "duration": 6,
                "origin_video": None,
                "transcoded_video": {"origin": rendition},
                "duration_ms": 5042,
                "video_model": model(
                    definition="origin",
                    vtype="mp4",
                    vwidth=960,
                    vheight=960,
                    size=4424231,
                    main_url=encoded("https://v26-default.365yg.com/x"),
                ),
            },
        }
    )
    first, second = item.links
    assert item.id == "7605524120645700874"
    assert item.cover_url == "https://p26/cover"
    assert (first.url, first.width, first.height) == (URL, 960, 960)
    assert (first.size, first.duration_ms, first.format) == (4424231, 5042, "mp4")
    assert first.definition == "origin"
    assert second.url == "https://v26-default.365yg.com/x"


def test_the_widest_comes_first_and_sizes_break_ties():
    def each(width, size, name):
        return {
            "width": width,
            "height": 10,
            "size": size,
            "video_url": f"https://cdn/{name}",
        }

    renditions = {
        "360p": each(640, 9, "small"),
        "1080p": each(1920, 5, "wide"),
        "origin": each(1920, 8, "best"),
        "720p": {"video_url": "https://cdn/unsized"},
    }
    item = read_item(
        {"video": {"transcoded_video": renditions, "play_url": "https://cdn/play"}}
    )
    names = [link.url.rpartition("/")[2] for link in item.links]
    assert names == ["best", "wide", "small", "unsized", "play"]


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        ({"duration": 6, "duration_ms": 5042}, 5042),
        ({"duration": 6, "duration_info": '{"play_info_duration":5.017}'}, 5017),
        ({"duration": 6, "video_model": model()}, 5017),
        ({"duration": 6}, 6000),
        ({"duration": 0, "duration_info": "x"}, None),
        ({"duration_ms": "nan", "duration": "inf"}, None),
    ],
)
def test_the_rounded_duration_is_the_last_resort(video, expected):
    item = read_item({"video": {"url": URL} | video})
    assert item.links[0].duration_ms == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"item_id": "1", "common_attr": {"id": "4"}}, "1"),
        ({"id": 2}, "2"),
        ({"local_item_id": "3"}, "3"),
        ({"common_attr": {"id": "4"}}, "4"),
        ({}, ""),
    ],
)
def test_the_id_is_found_where_it_lies(raw, expected):
    assert read_item(raw).id == expected


def test_the_cover_falls_back_to_the_video_and_the_largest_thumbnail():
    covers = {"360": "https://c/360", "1080": "https://c/1080"}
    assert read_item({"video": {"cover_url": "https://c/v"}}).cover_url == "https://c/v"
    item = read_item({"common_attr": {"cover_url": "", "cover_url_map": covers}})
    assert item.cover_url == "https://c/1080"
    assert item.links == ()


def test_links_are_handed_through_the_caller_s_scheme():
    raw = {"video": {"url": "//cdn/a", "cover_url": "https://cdn/b"}}
    item = read_item(raw, lambda url: f"<{url}>")
    assert item.links[0].url == "<//cdn/a>"
    assert item.cover_url == "<https://cdn/b>"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {"video": []},
        {"video": {"video_model": "{"}},
        {"video": {"video_model": model(main_url="é")}},
        {"video": {"video_model": model(main_url=encoded("file:///etc/passwd"))}},
        {"video": {"url": "ftp://x"}},
        {"video": {"transcoded_video": {"origin": None, "x": 3}}},
        {"image": {"large_images": {"0": 1}}},
    ],
)
def test_what_is_no_link_is_left_out(raw):
    assert read_item(raw).links == ()
