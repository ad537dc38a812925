"""The timeline as arithmetic: it never runs backwards, whatever the pace."""

from hypothesis import given
from hypothesis import strategies as st

from simulator import Knobs, Pace
from simulator.prompts import number, switches
from simulator.records import Job, Order
from simulator.timeline import ending, phase, plan

ORDER = Order(kind="video", model="m", prompt="", width=2, height=2, ratio="1:1")
RANK = {20: 0, 42: 1, 45: 2, 50: 3, 10: 3, 30: 3, 40: 3}
seconds = st.floats(0, 1e4)


@given(seconds, seconds, seconds, st.floats(0, 1e3), st.lists(seconds, min_size=2))
def test_status_and_queue_only_ever_move_forward(
    invisible, queued, late, scale, moments
):
    pace = Pace(invisible=invisible, queued=queued)
    times = plan(0.0, pace, Knobs(scale=scale), "", late)
    job = Job(
        id="1", submit_id="1", uid="1", order=ORDER, times=times, cost=1, item_ids=["1"]
    )
    seen = [phase(job, moment, finished=True) for moment in sorted(moments)]
    assert [RANK[one.status] for one in seen] == sorted(
        RANK[one.status] for one in seen
    )
    places = [one.queue_idx for one in seen]
    assert places == sorted(places, reverse=True)


def test_a_job_of_the_default_pace_takes_about_eight_seconds():
    times = plan(0.0, Pace(), Knobs(), "", 0.0)
    assert 6 < times.done < 9


def test_switches_are_read_from_a_prompt():
    found = switches("[[queue:120]] 猫 [[lost]] [[fail:starling:inputtextrisk]]")
    assert found == {"queue": "120", "lost": "", "fail": "starling:inputtextrisk"}
    assert number(found, "queue", 1.0) == 120
    assert number({"queue": "soon"}, "queue", 1.0) == 1


def test_moderation_codes_end_before_or_after_generation():
    assert ending("[[fail:2003]]") == (10, "2003")
    assert ending("[[fail:2004]]") == (40, "2004")
    assert ending("[[fail:1057]]") == (30, "1057")
    assert ending("a cat") == (50, "")
