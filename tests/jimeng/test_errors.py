import pytest

from jimeng import ErrorKind, SessionEffect, TaskEffect, effect_of

QUOTA, AUTH, BLOCKED = ErrorKind.QUOTA, ErrorKind.AUTH, ErrorKind.ACCOUNT_BLOCKED
CONTENT, FAILED = ErrorKind.CONTENT_RISK, ErrorKind.GENERATION_FAILED
ELSEWHERE, LATER = TaskEffect.AGAIN_ELSEWHERE, TaskEffect.AGAIN_LATER
FAIL, S = TaskEffect.FAIL, SessionEffect

ROWS = [
    ([1, 1057, 2014, 2020, 10020], QUOTA, LATER, S.COOL),
    ([1010, 1310, 5001], QUOTA, ELSEWHERE, S.LOWER),
    ([1000, 1001, 1002, 1161, 1162, 1189, 1190], FAILED, FAIL, S.NONE),
    ([2203, 2204, 4002, 2008, 1017], FAILED, FAIL, S.NONE),
    ([1006, 4001, 5000, 121101], QUOTA, ELSEWHERE, S.EXHAUST),
    ([1015, 34010105], AUTH, ELSEWHERE, S.EXPIRE),
    ([34010100], AUTH, FAIL, S.NONE),
    ([1018], BLOCKED, ELSEWHERE, S.BLOCK),
    ([1019, 1021, -6, 4013, 2035], BLOCKED, ELSEWHERE, S.COOL),
    ([-4], BLOCKED, FAIL, S.COOL),
    ([3000], ErrorKind.NETWORK, ELSEWHERE, S.COOL),
    ([3020, 1014], ErrorKind.NETWORK, LATER, S.NONE),
    ([3021, 4003, 4010], AUTH, ELSEWHERE, S.CLOSE_MODEL),
    ([4011, 2003, 2004, 2005, 1063, 1159], CONTENT, FAIL, S.NONE),
    ([2038, 2039, 2041, 2042, 2043, 2048, 2050], CONTENT, FAIL, S.NONE),
    ([2002, 5002, 100402], FAILED, LATER, S.NONE),
]
CODES = [(code, *row[1:]) for row in ROWS for code in row[0]]


@pytest.mark.parametrize(("code", "kind", "task", "session"), CODES)
def test_every_code_of_the_protocol_has_its_effect(code, kind, task, session):
    for form in (code, str(code), f" {code} "):
        effect = effect_of(form)
        assert effect is not None
        assert (effect.kind, effect.task, effect.session) == (kind, task, session)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("exceed_model_parallel_max", 1310),
        ("concurrency_limit", 1010),
        ("reached_daily_generation_limit", 121101),
        ("web_risk_control_message_reject_generation", 4013),
        ("web_dre_m10n_generate_popup_credit_ininsufficient_title", 1006),
        ("AigcComplianceConfirmationRequired", 4010),
        ("ErrMessage_APP_OutputVideoRisk", 2004),
        ("web_text_violates_community_guidelines_toast", 2005),
        ("inputimagerisk", 2003),
        ("web_fail2generate_input_retry", 2002),
    ],
)
def test_a_name_or_text_key_means_what_its_number_means(name, code):
    assert effect_of(name) == effect_of(code)


@pytest.mark.parametrize("code", ["", "0", 0, 99999, "10060", "-60", "success", "none"])
def test_a_code_that_is_not_in_the_table_has_no_effect(code):
    assert effect_of(code) is None


def test_no_content_refusal_touches_the_account():
    for code, kind, *_ in CODES:
        if kind is CONTENT:
            assert effect_of(code).session is S.NONE
