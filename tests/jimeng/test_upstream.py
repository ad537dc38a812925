import pytest

from jimeng import Account, Upstream, neighbours
from jimeng.signing import sign
from jimeng.upstream import common_headers, common_query, generate_query

SESSION = "0123456789abcdef0123456789abcdef"
REAL = Upstream()


@pytest.mark.parametrize(
    ("region", "mweb", "commerce", "imagex"),
    [
        ("cn", "jimeng.jianying.com", "jimeng.jianying.com", "imagex.bytedanceapi.com"),
        (
            "us",
            "dreamina-api.us.capcut.com",
            "commerce.us.capcut.com",
            "imagex16-normal-us-ttp.capcutapi.us",
        ),
        (
            "jp",
            "mweb-api-sg.capcut.com",
            "commerce-api-sg.capcut.com",
            "imagex-normal-sg.capcutapi.com",
        ),
    ],
)
def test_each_region_has_its_hosts(region, mweb, commerce, imagex):
    assert REAL.api(region, "/mweb/v1/x") == f"https://{mweb}/mweb/v1/x"
    assert REAL.api(region, "/passport/x") == f"https://{mweb}/passport/x"
    assert REAL.api(region, "/commerce/v1/x") == f"https://{commerce}/commerce/v1/x"
    assert REAL.imagex(region) == f"https://{imagex}"
    assert REAL.vod() == "https://vod.bytedanceapi.com"


def test_hong_kong_japan_and_singapore_share_their_hosts():
    assert [neighbours(region) for region in ("cn", "us")] == [("cn",), ("us",)]
    assert {neighbours(region) for region in ("hk", "jp", "sg")} == {("hk", "jp", "sg")}


def test_the_page_is_the_one_that_generates():
    cn = REAL.page_url("cn", "video")
    assert cn == "https://jimeng.jianying.com/ai-tool/generate?type=video"
    assert REAL.page_url("hk", "image").startswith("https://dreamina.capcut.com/")


def test_an_origin_stands_for_every_host():
    one = Upstream("http://127.0.0.1:9000/")
    assert one.site_origin("us") == "http://127.0.0.1:9000"
    assert one.page_url("us").startswith("http://127.0.0.1:9000/ai-tool/")
    assert one.api("us", "/commerce/v1/x") == "http://127.0.0.1:9000/commerce/v1/x"
    assert one.imagex("us") == one.vod() == "http://127.0.0.1:9000"


def test_hosts_and_links_of_answers_take_the_scheme_of_the_origin():
    one = Upstream("http://127.0.0.1:9000")
    assert one.at_host("tos.example:81") == "http://tos.example:81"
    assert one.link("https://cdn.example/a?b=c") == "http://cdn.example/a?b=c"
    assert one.link("//cdn.example/a") == "http://cdn.example/a"
    assert REAL.at_host("tos.example") == "https://tos.example"
    assert REAL.link("http://cdn.example/a") == "http://cdn.example/a"
    assert REAL.link("//cdn.example/a") == "https://cdn.example/a"


@pytest.mark.parametrize(
    "origin", ["127.0.0.1:9000", "ftp://h", "http://h/path", "http://h?q", "http://"]
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(ValueError, match="origin"):
        Upstream(origin)


def test_the_generate_query_is_that_of_the_page_in_its_order():
    account = Account.parse(SESSION)
    query = generate_query(account, "3.3.9")
    assert query == {
        "aid": "513695",
        "device_platform": "web",
        "region": "cn",
        "webId": account.web_id,
        "da_version": "3.3.9",
        "os": "windows",
        "web_component_open_flag": "1",
        "commerce_with_input_video": "1",
        "web_version": "7.5.0",
        "aigc_features": "app_lip_sync",
    }
    assert list(query)[4:6] == ["da_version", "os"]


def test_a_read_names_no_system_and_international_queries_no_web_id():
    query = common_query(Account.parse(f"jp-{SESSION}"))
    assert query["region"] == "JP"
    assert query["aid"] == "513641"
    assert not query.keys() & {"webId", "os", "web_component_open_flag"}


def test_the_headers_carry_a_sign_for_their_own_device_time():
    account = Account.parse(f"jp-{SESSION}")
    path = "/mweb/v1/get_history_by_ids"
    made = common_headers(account, REAL, path, referer="/ai-tool/home", device_time=99)
    assert made["Sign"] == sign(path, 99)
    assert made["Device-Time"] == "99"
    assert (made["Appid"], made["Appvr"], made["Pf"]) == ("513641", "8.4.0", "7")
    assert (made["Lan"], made["Loc"], made["Tdid"]) == ("ja", "jp", "")
    assert made["Origin"] == "https://dreamina.capcut.com"
    assert made["Referer"] == "https://dreamina.capcut.com/ai-tool/home"
