"""What a submit must look like, who may send it, and what it costs."""

import json
import time

import pytest

from simulator.signing import sign

PATH = "/mweb/v1/aigc_draft/generate"


def signed(at=None, **changes):
    at = str(at or int(time.time()))
    headers = {"Device-Time": at, "Sign-Ver": "1", "Pf": "7", "Appvr": "8.4.0"}
    told = sign(PATH, at, pf="7", appvr="8.4.0", tdid="")
    return headers | {"Tdid": "", "Sign": told} | changes


async def test_a_right_submit_is_taken_with_ids_of_the_sites_form(visitor, kit):
    body = kit.body_of()
    answer = await visitor.submit(body, headers=signed())
    data = answer["data"]["aigc_data"]
    assert answer["ret"] == "0"
    assert data["submit_id"] == body["submit_id"]
    assert data["history_record_id"].isdigit()
    assert len(data["history_record_id"]) >= 13
    assert data["task"]["history_id"] == data["history_record_id"]
    assert (data["status"], data["item_list"], data["generate_type"]) == (20, [], 10)
    assert data["queue_info"]["polling_config"]["interval_seconds"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        signed(Sign="0" * 32),
        signed(at=1771893826),
        signed(Appvr="5.8.0"),
        signed(**{"Sign-Ver": "2"}),
    ],
)
async def test_a_wrong_sign_is_refused(visitor, headers):
    assert (await visitor.submit(headers=headers))["ret"] == "1014"


async def test_a_sign_of_an_older_client_is_right_with_its_own_version(visitor):
    at = str(int(time.time()))
    old = sign(PATH, at, pf="7", appvr="5.8.0", tdid="")
    answer = await visitor.submit(headers=signed(at, Appvr="5.8.0", Sign=old))
    assert answer["ret"] == "0"


async def test_a_missing_sign_is_refused_only_where_it_is_required(visitor):
    assert (await visitor.submit())["ret"] == "0"
    visitor.world.knobs.require_sign = "required"
    assert (await visitor.submit())["ret"] == "1014"


async def test_an_unknown_or_dead_session_is_refused(visitor):
    cookies = {"Cookie": "sessionid=unknown"}
    assert (await visitor.submit(headers=cookies))["ret"] == "1015"
    visitor.change(dead=True)
    assert (await visitor.submit())["ret"] == "1015"


def without(key):
    def change(body):
        del body[key]

    return change


def set_in(path, value):
    """Put a value at a path; a step into a string of JSON goes through it."""

    def change(node):
        key, *rest = path
        if not rest:
            node[key] = value
        elif isinstance(node[key], str):
            inner = json.loads(node[key])
            set_in(rest, value)(inner)
            node[key] = json.dumps(inner)
        else:
            set_in(rest, value)(node[key])

    return change


COMPONENT = ["draft_content", "component_list", 0]
VIDEO = [*COMPONENT, "abilities", "gen_video"]
PARAMS = [*VIDEO, "text_to_video_params"]
INPUT = [*PARAMS, "video_gen_inputs", 0]
WRONG = {
    "draft as object": (set_in(["draft_content"], {}), "1002"),
    "metrics as object": (set_in(["metrics_extra"], {}), "1002"),
    "metrics not JSON": (set_in(["metrics_extra"], "{"), "1002"),
    "submit id no uuid": (set_in(["submit_id"], "1"), "1000"),
    "no common info": (without("http_common_info"), "1000"),
    "aid of another region": (set_in(["http_common_info", "aid"], 513641), "1000"),
    "root model differs": (set_in(["extend", "root_model"], "x"), "1000"),
    "main component": (set_in(["draft_content", "main_component_id"], "x"), "1000"),
    "no component": (set_in(["draft_content", "component_list"], []), "1000"),
    "unknown component": (set_in([*COMPONENT, "type"], "x"), "1000"),
    "two inputs": (set_in([*PARAMS, "video_gen_inputs"], [{}, {}]), "1000"),
    "no input": (set_in([*PARAMS, "video_gen_inputs"], []), "1000"),
    "unknown model": (set_in([*PARAMS, "model_req_key"], "x"), "1000"),
    "ratio": (set_in([*PARAMS, "video_aspect_ratio"], "5:4"), "1000"),
    "seed": (set_in([*PARAMS, "seed"], -1), "1000"),
    "duration": (set_in([*INPUT, "duration_ms"], 7000), "1000"),
    "resolution": (set_in([*INPUT, "resolution"], "4k"), "1000"),
    "fps": (set_in([*INPUT, "fps"], 30), "1000"),
    "empty prompt": (set_in([*INPUT, "prompt"], " "), "1000"),
    "input without id": (set_in([*INPUT, "id"], ""), "1000"),
    "task extra": (set_in([*VIDEO, "video_task_extra"], {}), "1002"),
    "old draft": (set_in(["draft_content", "version"], "3.0.4"), "1000"),
    "unknown image": (
        set_in([*INPUT, "first_frame_image"], {"type": "image", "id": "x"}),
        "1000",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_body_that_is_not_as_it_must_be_is_refused(visitor, kit, name):
    change, ret = WRONG[name]
    body = kit.body_of()
    change(body)
    assert (await visitor.submit(body))["ret"] == ret
    assert visitor.account.credits.total == 10_000


@pytest.mark.parametrize("name", ["aid", "region", "da_version", "webId"])
async def test_a_query_without_a_common_parameter_is_refused(visitor, kit, name):
    query = {key: value for key, value in kit.QUERY.items() if key != name}
    assert (await visitor.submit(query=query))["ret"] == "1000"


async def test_a_web_id_that_differs_from_its_cookie_is_refused(visitor, kit):
    query = kit.QUERY | {"webId": "7584089465464800002"}
    assert (await visitor.submit(query=query))["ret"] == "4013"
    visitor.world.knobs.require_web_id_match = False
    assert (await visitor.submit(query=query))["ret"] == "0"


async def test_another_regions_identity_is_refused(visitor, kit):
    query = kit.QUERY | {"aid": "513641", "region": "US"}
    assert (await visitor.submit(query=query))["ret"] == "3000"


@pytest.mark.parametrize(
    ("model", "benefit", "resolution"),
    [
        ("dreamina_ic_generate_video_model_vgfm_3.0", "no_such_benefit", "720p"),
        (
            "dreamina_ic_generate_video_model_vgfm_3.0",
            "basic_video_operation_vgfm_v_three",
            "1080p",
        ),
        ("dreamina_seedance_40", "dreamina_video_seedance_20_fast", "720p"),
        ("dreamina_seedance_40", "dreamina_seedance_20_fast_with_video", "720p"),
        ("dreamina_seedance_40_pro_vision", "seedance_20_pro_720p_output", "1080p"),
    ],
)
async def test_a_benefit_of_another_model_or_variant_is_refused(
    visitor, kit, model, benefit, resolution
):
    visitor.world.knobs.require_abogus = []
    wanted = kit.text_input(resolution=resolution)
    answer = await visitor.submit(kit.body_of(wanted, model=model, benefit=benefit))
    assert (answer["ret"], answer["errmsg"]) == ("5001", "credit prededuct failed")


@pytest.mark.parametrize(
    ("fields", "ret"),
    [
        ({"lacks": ["dreamina_ic_generate_video_model_vgfm_3.0"]}, "3021"),
        ({"unconfirmed": ["dreamina_ic_generate_video_model_vgfm_3.0"]}, "4010"),
        ({"punished": True}, "1018"),
        ({"concurrency": 0}, "1310"),
        ({"daily_limit": 0}, "121101"),
        ({"credits": {"gift": 9}}, "1006"),
    ],
)
async def test_what_the_account_may_not_do_is_refused(visitor, fields, ret):
    visitor.world.save_account(
        type(visitor.account).model_validate(visitor.account.model_dump() | fields)
    )
    answer = await visitor.submit()
    assert answer["ret"] == ret
    assert (answer["data"] is None) == (ret == "1018")


async def test_a_place_is_free_again_when_a_job_has_ended(visitor, kit):
    visitor.change(concurrency=1)
    failing = kit.body_of(kit.text_input("[[fail:2002]]"))
    assert (await visitor.submit(failing))["ret"] == "0"
    busy = await visitor.submit()
    assert (busy["ret"], busy["data"]["fail_code"]) == (
        "1310",
        "exceed_model_parallel_max",
    )
    visitor.world.advance(60)
    assert (await visitor.submit())["ret"] == "0"


async def test_the_same_submit_id_gets_the_same_job_and_is_charged_once(visitor, kit):
    body = kit.body_of()
    first, second = await visitor.submit(body), await visitor.submit(body)
    ids = {one["data"]["aigc_data"]["history_record_id"] for one in (first, second)}
    entry = (await visitor.http.get("/_sim/ledger")).json()[body["submit_id"]]
    assert len(ids) == 1
    assert entry["received"] == 2
    assert [charge["amount"] for charge in entry["charges"]] == [10]
    assert visitor.account.credits.total == 9_990


async def test_without_dedupe_the_same_submit_id_is_charged_twice(visitor, kit):
    visitor.world.knobs.dedupe = False
    body = kit.body_of()
    await visitor.submit(body)
    await visitor.submit(body)
    entry = (await visitor.http.get("/_sim/ledger")).json()[body["submit_id"]]
    assert len(entry["charges"]) == len(set(entry["job_ids"])) == 2


async def test_a_failed_job_is_refunded_once_where_that_is_the_rule(visitor, kit):
    body = kit.body_of(kit.text_input("[[fail:2038]]"))
    await visitor.submit(body)
    assert visitor.account.credits.total == 9_990
    visitor.world.advance(60)
    for _ in range(2):
        await visitor.poll(body["submit_id"])
    assert visitor.account.credits.total == 10_000
    visitor.world.knobs.refund_failed = False
    await visitor.submit(kit.body_of(kit.text_input("[[fail:2038]]")))
    visitor.world.advance(60)
    ledger = (await visitor.http.get("/_sim/ledger")).json()
    assert [len(entry["refunds"]) for entry in ledger.values()].count(1) == 1
    assert visitor.account.credits.total == 9_990


async def test_a_prompt_may_ask_for_a_refusal(visitor, kit):
    body = kit.body_of(kit.text_input("[[submit:1019]] a cat"))
    answer = await visitor.submit(body)
    assert (answer["ret"], answer["errmsg"]) == ("1019", "shark not pass")
    assert visitor.account.credits.total == 10_000


async def test_a_blocked_address_is_refused_at_the_gate(visitor):
    visitor.world.knobs.block_ip = ["127.0.0.1"]
    answer = await visitor.submit()
    assert (answer["ret"], answer["data"]["fail_code"]) == ("-6", "4013")


async def test_an_image_job_is_taken_without_a_video_benefit(visitor, kit):
    model = "high_aes_general_v50"
    body = kit.body_of(
        model=model, draft=kit.image_draft(), extend={"root_model": model}
    )
    answer = await visitor.submit(body)
    assert answer["data"]["aigc_data"]["generate_type"] == 1
    assert answer["data"]["aigc_data"]["total_image_count"] == 4
