import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jimeng import (
    JimengError,
    Refused,
    Rejected,
    Running,
    SessionEffect,
    TaskEffect,
    Unknown,
    read_submit,
)

SECRET = "0123456789abcdef0123456789abcdef"


def envelope(ret, data=None, errmsg=""):
    return json.dumps({"ret": ret, "errmsg": errmsg, "data": data})


def taken(**more):
    node = {"history_record_id": "7897104935692", "submit_id": "s1", "status": 20}
    return envelope("0", {"aigc_data": node | more})


def test_a_record_id_means_it_was_taken():
    accepted = read_submit(200, taken(forecast_generate_cost=23))
    assert accepted.history_id == "7897104935692"
    assert accepted.node.submit_id == "s1"
    assert isinstance(accepted.node.outcome, Running)
    assert accepted.node.outcome.progress.generate_seconds == 23
    assert "7897104935692" in accepted.answer


def test_a_number_is_a_record_id_too():
    assert read_submit(200, taken(history_record_id=78971)).history_id == "78971"


def test_a_taken_task_may_have_failed_already():
    accepted = read_submit(200, taken(status=30, fail_code=2038))
    assert isinstance(accepted.node.outcome, Rejected)
    assert accepted.node.outcome.code == "2038"


@pytest.mark.parametrize(
    ("ret", "data", "code", "session"),
    [
        ("1006", {"aigc_data": None, "fail_code": "1006"}, "1006", "exhaust"),
        (1019, None, "1019", "cool"),
        ("-6", {"fail_code": "4013"}, "-6", "cool"),
        ("1018", None, "1018", "block"),
        ("1015", None, "1015", "expire"),
        ("5001", {"fail_code": ""}, "5001", "lower_concurrency"),
        (
            "9999",
            {"fail_code": "exceed_model_parallel_max"},
            "exceed_model_parallel_max",
            "lower_concurrency",
        ),
        ("4010", {}, "4010", "close_model"),
    ],
)
def test_a_code_of_the_table_is_a_certain_no(ret, data, code, session):
    with pytest.raises(Refused) as caught:
        read_submit(200, envelope(ret, data, "text"))
    assert caught.value.code == code
    assert caught.value.effect.session is SessionEffect(session)
    assert caught.value.effect.task is TaskEffect.AGAIN_ELSEWHERE


def test_a_refusal_keeps_its_words_and_the_whole_answer():
    data = {"fail_starling_message": "积分不足"}
    with pytest.raises(Refused) as caught:
        read_submit(200, envelope("1006", data, "credits"))
    assert caught.value.text == "积分不足"
    assert json.loads(caught.value.answer)["errmsg"] == "credits"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, envelope("99999", None, "new code")),
        (200, envelope("0", {"aigc_data": None})),
        (200, envelope("0", None)),
        (200, envelope("0", {"aigc_data": {"history_record_id": ""}})),
        (200, envelope("0", {"aigc_data": {"history_record_id": 0}})),
        (200, envelope("0", {"aigc_data": "x"})),
        (200, envelope("0", {"aigc_data": None, "fail_code": "1006"})),
        (200, '{"data": {"fail_code": "1006"}}'),
        (200, ""),
        (200, "null"),
        (200, "[1]"),
        (200, "[" * 100_000),
        (404, "<html>404</html>"),
        (502, "<html>bad gateway</html>"),
        (502, envelope("1006")),
        (500, taken()),
    ],
)
def test_anything_else_is_unknown(status, text):
    with pytest.raises(Unknown):
        read_submit(status, text)


@given(st.integers(100, 599), st.text())
def test_any_text_is_read_or_a_typed_error(status, text):
    with pytest.raises(Unknown):
        read_submit(status, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "ret",
                    "data",
                    "aigc_data",
                    "status",
                    "task",
                    "fail_code",
                    "item_list",
                    "queue_info",
                    "history_record_id",
                    "submit_id",
                    "video",
                    "common_attr",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["0", 0, "1006", 7, None]), JSON)
def test_any_json_is_taken_or_a_typed_error(ret, data):
    try:
        accepted = read_submit(200, json.dumps({"ret": ret, "data": data}))
    except JimengError as error:
        assert isinstance(error, Refused | Unknown)  # noqa: PT017
        return
    assert accepted.history_id


def test_secrets_are_taken_out_of_what_is_kept():
    data = {
        "cookie": "sid_tt=abc",
        "inner": json.dumps({"session_token": "STS2secret"}),
        "echo": f"was {SECRET}",
    }
    with pytest.raises(Refused) as caught:
        read_submit(200, envelope("1019", data), secrets=[SECRET])
    for secret in (SECRET, "STS2secret", "abc"):
        assert secret not in caught.value.answer
    assert json.loads(caught.value.answer)["data"]["echo"] == "was ***"


def test_a_hostile_answer_is_scrubbed_in_no_time():
    with pytest.raises(Unknown) as caught:
        read_submit(200, "\\" * 500_000)
    assert len(caught.value.answer) == 65_536


def test_what_is_kept_ends_at_sixty_four_kibibytes():
    with pytest.raises(Refused) as caught:
        read_submit(200, envelope("1019", None, "长" * 100_000))
    assert 65_000 < len(caught.value.answer.encode()) <= 65_536


def test_what_is_unknown_keeps_the_page_it_got():
    with pytest.raises(Unknown) as caught:
        read_submit(502, "<html>bad gateway</html>")
    assert caught.value.answer == "<html>bad gateway</html>"
    assert "502" in str(caught.value)


def test_an_unknown_code_is_named():
    with pytest.raises(Unknown) as caught:
        read_submit(200, envelope("99999"))
    assert caught.value.code == "99999"


def test_a_secret_that_the_site_echoes_is_in_no_text():
    secret = "0123456789abcdef0123456789abcdef"
    text = json.dumps({"ret": "1063", "errmsg": f"bad login {secret}", "data": None})
    with pytest.raises(Refused) as no:
        read_submit(200, text, secrets=(secret,))
    assert secret not in no.value.text + no.value.answer + str(no.value)
