import pytest
from hypothesis import given
from hypothesis import strategies as st

from jimeng import (
    ErrorKind,
    Finished,
    Node,
    Progress,
    Rejected,
    Running,
    SessionEffect,
    TaskEffect,
)
from jimeng.poll import read_history

ITEM = {"common_attr": {"id": "1"}, "video": {"play_url": "https://cdn.example/a"}}


def outcome(**fields):
    return Node.read(fields).outcome


def test_a_running_task_tells_its_place_in_the_queue():
    queue = {
        "queue_idx": 26785,
        "queue_length": 91854,
        "queue_status": 1,
        "polling_config": {"interval_seconds": 30, "timeout_seconds": 86400},
    }
    seen = outcome(
        status=20,
        queue_info=queue,
        forecast_queue_cost=14400,
        forecast_generate_cost=23,
    )
    assert seen == Running(
        Progress(
            status=20,
            queue_status=1,
            queue_position=26785,
            queue_total=91854,
            queue_eta_seconds=14400,
            generate_seconds=23,
            interval_seconds=30,
        )
    )


def test_forecasts_may_lie_one_level_deeper():
    cost = {"forecast_generate_cost": 9, "forecast_queue_cost": 0}
    progress = outcome(status=20, forecast_cost_time=cost).progress
    assert (progress.generate_seconds, progress.queue_eta_seconds) == (9, 0)


@pytest.mark.parametrize("status", [-1, 0, 20, 42, 45, 77, "20", None, "x", 50.5])
def test_every_status_that_is_no_end_is_running(status):
    assert isinstance(outcome(status=status, item_list=[]), Running)


def test_some_items_of_a_task_are_not_its_end():
    assert isinstance(outcome(status=45, item_list=[ITEM]), Running)


@pytest.mark.parametrize(
    "items",
    [None, [], [{}], [None], [{"common_attr": {"item_urls": [""]}}], {"0": ITEM}],
)
def test_success_without_a_link_is_still_running(items):
    assert isinstance(outcome(status=50, item_list=items), Running)


@pytest.mark.parametrize("status", [50, "50"])
def test_success_with_a_link_is_finished(status):
    seen = outcome(status=status, item_list=[ITEM, {}])
    assert isinstance(seen, Finished)
    assert [item.id for item in seen.items] == ["1"]


def test_success_whose_items_all_failed_is_rejected():
    item = {"gen_result_data": {"result_code": 2042, "result_msg": "blocked"}}
    seen = outcome(status=50, item_list=[item])
    assert isinstance(seen, Rejected)
    assert (seen.code, seen.text) == ("2042", "blocked")


def test_the_status_of_the_task_counts_where_the_node_has_none():
    assert isinstance(outcome(task={"status": 30}), Rejected)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"fail_code": "2038", "fail_msg": "no"}, "2038", "no"),
        ({"fail_code": 2038, "fail_starling_message": "不"}, "2038", "不"),
        ({"error_code": 4011, "error_msg": "face"}, "4011", "face"),
        (
            {"fail_code": "", "fail_starling_key": "inputimagerisk"},
            "inputimagerisk",
            "",
        ),
        ({"fail_code": 0, "error_code": "5002"}, "5002", ""),
        ({"fail_code": "77777", "error_code": "2039"}, "2039", ""),
        ({"task": {"resp_ret": {"ret": "2043", "errmsg": "no"}}}, "2043", "no"),
        (
            {"item_list": [{"gen_result_data": {"result_code": 2041}}]},
            "2041",
            "",
        ),
        (
            {
                "item_list": [
                    {"common_attr": {"review_info": {"review_code_list": [2050]}}}
                ]
            },
            "2050",
            "",
        ),
    ],
)
def test_a_failure_is_read_from_every_field(fields, code, text):
    seen = outcome(status=30, **fields)
    assert seen.code == code
    assert seen.text == text or not text
    assert seen.text
    assert seen.effect.task is not TaskEffect.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (10, ErrorKind.CONTENT_RISK),
        (40, ErrorKind.CONTENT_RISK),
        (30, ErrorKind.GENERATION_FAILED),
        (100, ErrorKind.GENERATION_FAILED),
    ],
)
def test_an_end_without_a_code_is_told_by_its_status(status, kind):
    seen = outcome(status=status)
    assert isinstance(seen, Rejected)
    assert (seen.code, seen.effect.kind) == ("", kind)
    assert seen.effect.task is TaskEffect.FAIL


def test_an_unknown_code_of_a_failed_task_is_no_reason_to_buy_it_again():
    effect = outcome(status=30, fail_code="77777").effect
    assert effect.kind is ErrorKind.UNKNOWN
    assert (effect.task, effect.session) == (TaskEffect.FAIL, SessionEffect.NONE)


def test_a_risk_refusal_found_while_polling_moves_on_and_blocks_nobody():
    effect = outcome(status=30, fail_code=4013, fail_msg="疑似存在异常行为").effect
    assert effect.task is TaskEffect.AGAIN_ELSEWHERE
    assert effect.session is SessionEffect.COOL


def test_an_ended_task_keeps_the_site_s_answer_and_a_running_one_does_not():
    assert '"fail_code": 2038' in Node.read({"status": 30, "fail_code": 2038}).answer
    assert Node.read({"status": 20}).answer == ""


def test_history_is_keyed_by_the_id_asked_with():
    data = {"a": {"status": 20, "history_record_id": "1"}, "b": None, "c": {}, "z": {}}
    nodes = read_history(data, ["a", "b", "c", "d"])
    assert set(nodes) == {"a", "c"}
    assert nodes["a"].history_id == "1"


def test_history_may_come_as_a_list():
    data = {"history_list": [{"submit_id": "a", "status": 50}, None, {"task": 1}]}
    assert set(read_history(data, ["a", "b"])) == {"a"}


@pytest.mark.parametrize("data", [None, [], "", 0, {"a": []}])
def test_history_of_another_shape_has_no_nodes(data):
    assert read_history(data, ["a"]) == {}


@given(
    st.dictionaries(
        st.sampled_from(["status", "item_list", "task", "queue_info", "fail_code"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_node_has_an_outcome(raw):
    assert isinstance(Node.read(raw).outcome, Running | Finished | Rejected)
