from datetime import UTC, datetime
from zlib import crc32

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from jimeng.signing import Keys, aws4_headers, checksum, query_string, sign

NOW = datetime(2026, 11, 20, 15, 35, 41, tzinfo=UTC)
KEYS = Keys("AKTPsim", "c2VjcmV0", "STS2sim", "imagex", "cn-north-1")


@pytest.mark.parametrize(
    ("path", "device_time", "expected"),
    [
        (
            "/mweb/v1/aigc_draft/generate",
            1771893826,
            "19724735691862919106b8c4808a6ce7",
        ),
        ("/mweb/v1/get_history_by_ids", 1771893831, "656c1e00cf94dfd5bcfaf031e32493e4"),
        (
            "/commerce/v1/benefits/user_credit_history",
            1771893831,
            "e689d5fa536721dee8945eaa6efb01b0",
        ),
        ("/mweb/v1/get_unread_count", 1771893859, "ebbac26279a528b6ca2a2a091d65aa16"),
        (
            "/mweb/v1/get_history_queue_info",
            1771893870,
            "b455ce04243cab9429ffbb87850c5686",
        ),
        ("/mweb/v1/get_asset_list", 1770799188, "99f53a201a714800b940d336ec506155"),
        (
            "/mweb/v1/aigc_draft/generate",
            1795188910,
            "b5bd17d608e5e0091687c4455e4515c3",
        ),
    ],
)
def test_the_sign_header_is_what_a_browser_sent(path, device_time, expected):
    assert sign(path, device_time) == expected


def test_the_query_does_not_take_part_in_the_sign_header():
    assert sign("/mweb/v1/x/generate?aid=1", 5) == sign("/mweb/v1/x/generate", 5)


@pytest.mark.parametrize(
    ("method", "query", "body", "expected"),
    [
        (
            "GET",
            {
                "Action": "ApplyImageUpload",
                "Version": "2018-08-01",
                "ServiceId": "tb4s082cfz",
                "FileSize": "157",
                "s": "3qubbe9dnv",
            },
            b"",
            "07bbdad517a7ba3ba41f952378ea6f44193fffc29eee322af5d3ad307132fd1b",
        ),
        (
            "POST",
            {
                "Action": "CommitImageUpload",
                "Version": "2018-08-01",
                "ServiceId": "tb4s082cfz",
            },
            b'{"SessionKey":"U0s="}',
            "99e398525190b464b7583468531d12734b6e36432c89663ccc228a11c2bcccd5",
        ),
    ],
)
def test_aws4_signatures_are_what_the_services_took(method, query, body, expected):
    headers = aws4_headers(KEYS, method, query, body, NOW)
    assert headers["authorization"].endswith(f"Signature={expected}")
    assert headers["x-amz-date"] == "20261120T153541Z"


class _Oracle(SigV4Auth):
    """botocore's own signature, over the headers these services want signed."""

    def headers_to_sign(self, request):
        wanted = super().headers_to_sign(request)
        del wanted["host"]
        return wanted


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,11}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(
    method=st.sampled_from(["GET", "POST"]),
    query=st.dictionaries(NAMES, VALUES, min_size=1, max_size=6),
    body=st.binary(max_size=200),
    secret=st.from_regex(r"[A-Za-z0-9+/]{1,40}", fullmatch=True),
    service=st.sampled_from(["imagex", "vod"]),
    region=st.sampled_from(["cn-north-1", "us-east-1", "ap-southeast-1"]),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
)
def test_aws4_agrees_with_botocore(
    *, method, query, body, secret, service, region, now
):
    now = now.replace(tzinfo=UTC, microsecond=0)
    body = b"" if method == "GET" else body
    keys = Keys("AKTPx", secret, "STS2x", service, region)
    ours = aws4_headers(keys, method, query, body, now)
    url = f"https://example.test/?{query_string(query)}"
    theirs = AWSRequest(method=method, url=url, data=body)
    theirs.headers["x-amz-date"] = ours["x-amz-date"]
    theirs.headers["x-amz-security-token"] = "STS2x"
    if method == "POST":
        theirs.headers["x-amz-content-sha256"] = ours["x-amz-content-sha256"]
    theirs.context["timestamp"] = ours["x-amz-date"]
    oracle = _Oracle(Credentials("AKTPx", secret, "STS2x"), service, region)
    text = oracle.string_to_sign(theirs, oracle.canonical_request(theirs))
    assert ours["authorization"].endswith(f"Signature={oracle.signature(text, theirs)}")


def test_the_checksum_is_the_ieee_one_of_all_pieces_in_eight_digits():
    assert checksum([b"1234", b"56789"]) == "cbf43926"
    assert checksum([]) == "00000000"


@given(st.lists(st.binary(max_size=50)))
def test_the_checksum_does_not_depend_on_the_cuts(pieces):
    assert int(checksum(pieces), 16) == crc32(b"".join(pieces))


def test_keys_do_not_show_their_secrets():
    assert "c2VjcmV0" not in repr(KEYS)
    assert "STS2sim" not in repr(KEYS)
