"""The pure checks: Sign, AWS4 and CRC against vectors and an independent signer."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.signing import (
    Claim,
    SignatureError,
    check_aws4,
    crc32,
    read_claim,
    sign,
)

SIGNS = [
    ("/mweb/v1/aigc_draft/generate", 1771893826, "19724735691862919106b8c4808a6ce7"),
    ("/mweb/v1/get_history_by_ids", 1771893831, "656c1e00cf94dfd5bcfaf031e32493e4"),
    (
        "/commerce/v1/benefits/user_credit_history",
        1771893831,
        "e689d5fa536721dee8945eaa6efb01b0",
    ),
    ("/mweb/v1/get_unread_count", 1771893859, "ebbac26279a528b6ca2a2a091d65aa16"),
    ("/mweb/v1/get_history_queue_info", 1771893870, "b455ce04243cab9429ffbb87850c5686"),
    ("/mweb/v1/get_asset_list", 1770799188, "99f53a201a714800b940d336ec506155"),
    ("/mweb/v1/aigc_draft/generate", 1795188910, "b5bd17d608e5e0091687c4455e4515c3"),
]
SECRET, TOKEN, DATE = "c2VjcmV0", "STS2sim", "20261120T153541Z"
GET = "Action=ApplyImageUpload&Version=2018-08-01&ServiceId=tb4s082cfz"
GET += "&FileSize=157&s=3qubbe9dnv"
POST = "Action=CommitImageUpload&Version=2018-08-01&ServiceId=tb4s082cfz"
BODY = b'{"SessionKey":"U0s="}'


@pytest.mark.parametrize(("path", "moment", "expected"), SIGNS)
def test_sign_is_what_real_browsers_sent(path, moment, expected):
    assert sign(path, str(moment), pf="7", appvr="8.4.0", tdid="") == expected


def claim(names, signature):
    header = (
        f"AWS4-HMAC-SHA256 Credential=AKTPsim/20261120/cn-north-1/imagex/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return read_claim({"authorization": header})


def test_a_get_with_the_golden_signature_is_accepted():
    headers = {"x-amz-date": DATE, "x-amz-security-token": TOKEN}
    signature = "07bbdad517a7ba3ba41f952378ea6f44193fffc29eee322af5d3ad307132fd1b"
    told = claim("x-amz-date;x-amz-security-token", signature)
    check_aws4(told, SECRET, method="GET", raw_query=GET, headers=headers, body=b"")


def post_headers():
    digest = hashlib.sha256(BODY).hexdigest()
    return {
        "x-amz-date": DATE,
        "x-amz-security-token": TOKEN,
        "x-amz-content-sha256": digest,
    }


def golden_post() -> Claim:
    names = "x-amz-content-sha256;x-amz-date;x-amz-security-token"
    signature = "99e398525190b464b7583468531d12734b6e36432c89663ccc228a11c2bcccd5"
    return claim(names, signature)


def check_post(told=None, *, query=POST, headers=None, body=BODY, secret=SECRET):
    check_aws4(
        told or golden_post(),
        secret,
        method="POST",
        raw_query=query,
        headers=headers or post_headers(),
        body=body,
    )


def test_a_post_with_the_golden_signature_is_accepted():
    check_post()


@pytest.mark.parametrize(
    "change",
    [
        {"query": POST + "&x=1"},
        {"body": BODY + b" "},
        {"secret": "other"},
        {"headers": {**post_headers(), "x-amz-security-token": "STS2other"}},
        {"headers": {**post_headers(), "x-amz-date": "20261120T153542Z"}},
    ],
)
def test_a_post_changed_after_signing_is_refused(change):
    with pytest.raises(SignatureError):
        check_post(**change)


@pytest.mark.parametrize(
    "names", ["x-amz-date", "x-amz-security-token;x-amz-date", "host;x-amz-date"]
)
def test_a_signature_that_leaves_out_the_token_or_the_order_is_refused(names):
    with pytest.raises(SignatureError):
        check_post(claim(names, "0" * 64))


@given(st.binary(max_size=200))
def test_crc32_is_eight_lower_case_digits(data):
    assert len(crc32(data)) == 8
    assert crc32(data) == crc32(data).lower()


def test_crc32_is_the_ordinary_one():
    assert crc32(b"123456789") == "cbf43926"
