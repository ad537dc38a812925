"""Models: what is told of them is what creates are held to."""

import pytest

from gateway_http.problems import Problem
from gateway_http.references import order_of
from gateway_http.routes.models import Models
from gateway_http.wish import Wish
from jimeng import MODELS


@pytest.fixture
async def models(gateway):
    answer = await gateway.http.get("/api/v1/models")
    assert answer.status_code == 200, answer.text
    return Models.model_validate(answer.json()).models


def accepted(**wish):
    try:
        return order_of(Wish(prompt="x", **wish), [])
    except Problem:
        return None


async def test_every_model_is_there_once_with_all_its_names(models):
    names = [name for model in models for name in model.names]
    assert sorted(names) == sorted(MODELS)
    assert [m.kind for m in models if m.default] == ["video", "image"]


async def test_what_is_told_is_taken_and_nothing_else(models):
    for model in models:
        usual = accepted(model=model.id)
        assert (usual.kind, usual.in_page) == (model.kind, model.in_page)
        assert usual.job.ratio == model.defaults.ratio
        assert usual.job.resolution == model.defaults.resolution
        for ratio in model.ratios:
            assert accepted(model=model.id, ratio=ratio), (model.id, ratio)
        for resolution in model.resolutions:
            assert accepted(model=model.id, resolution=resolution)
        for seconds in range(1, 40):
            told = seconds in model.durations
            assert bool(accepted(model=model.id, duration=seconds)) is told, model.id
        for other in ("480p", "720p", "1080p", "4k", "1k", "2k"):
            told = other in model.resolutions
            assert bool(accepted(model=model.id, resolution=other)) is told, model.id


async def test_a_model_is_read_by_any_of_its_names_and_kinds_apart(gateway, models):
    one = await gateway.http.get("/api/v1/models/seedance-2.0")
    assert one.json()["id"] == "jimeng-video-seedance-2.0"
    assert one.json()["references"]["total"] == 12
    unknown = await gateway.http.get("/api/v1/models/gpt")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "model_not_found")
    images = (await gateway.http.get("/api/v1/models?kind=image")).json()["models"]
    assert {m["kind"] for m in images} == {"image"}
    assert {m["results"] for m in images} == {4}
    wrong = await gateway.http.get("/api/v1/models?kind=film")
    assert wrong.status_code == 422
