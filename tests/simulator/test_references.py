"""Drafts with material: what must be uploaded, by whom, and how it is referred to."""

import pytest


@pytest.fixture
async def image(visitor, kit):
    return await visitor.upload_image(kit.png())


@pytest.fixture
def unsigned(visitor):
    """Seedance without the page's signature, for tests that are not about it."""
    visitor.world.knobs.require_abogus = []
    return visitor


async def test_a_first_frame_decides_the_ratio(visitor, kit, image):
    wanted = kit.text_input(first_frame_image=kit.image_node(image))
    answer = await visitor.submit(kit.body_of(wanted, ratio="9:16"))
    job = visitor.world.jobs[answer["data"]["aigc_data"]["history_record_id"]]
    assert (job.order.width, job.order.height) == (960, 720)


async def test_an_end_frame_needs_a_first_one(visitor, kit, image):
    wanted = kit.text_input(end_frame_image=kit.image_node(image))
    assert (await visitor.submit(kit.body_of(wanted)))["ret"] == "1000"


async def test_another_accounts_image_is_unknown(other, kit, image):
    wanted = kit.text_input(first_frame_image=kit.image_node(image))
    assert (await other.submit(kit.body_of(wanted)))["ret"] == "1000"


async def test_an_image_that_was_never_committed_cannot_be_fetched(visitor, kit):
    address = await visitor.apply_image(await visitor.token(), 100)
    node = kit.image_node(address["StoreInfos"][0]["StoreUri"])
    wanted = kit.text_input(first_frame_image=node)
    assert (await visitor.submit(kit.body_of(wanted)))["ret"] == "3020"


async def test_an_all_in_one_reference_reads_its_prompt_from_the_meta_list(
    unsigned, kit, image
):
    metas = [kit.meta("image", 0), kit.meta("text", " dances")]
    wanted = kit.omni_input([kit.material("image", image)], metas)
    answer = await unsigned.submit(kit.body_of(wanted, **kit.OMNI))
    job = unsigned.world.jobs[answer["data"]["aigc_data"]["history_record_id"]]
    assert job.order.prompt == "@1 dances"


WRONG = {
    "index out of range": {"metas": [("image", 1)]},
    "negative index": {"metas": [("image", -1)]},
    "reference of another kind": {"metas": [("video", 0)]},
    "no meta": {"metas": []},
    "prompt beside the meta list": {"prompt": "a cat"},
    "no material": {"materials": []},
    "too many": {"count": 10},
    "feature not declared": {"features": []},
}


@pytest.mark.parametrize("name", WRONG)
async def test_an_all_in_one_reference_that_is_wrong_is_refused(
    unsigned, kit, image, name
):
    wrong = WRONG[name]
    materials = [kit.material("image", image) for _ in range(wrong.get("count", 1))]
    metas = [kit.meta(*one) for one in wrong.get("metas", [("text", "a")])]
    wanted = kit.omni_input(
        wrong.get("materials", materials), metas, prompt=wrong.get("prompt", "")
    )
    fields = kit.OMNI | {key: wrong[key] for key in wrong if key == "features"}
    assert (await unsigned.submit(kit.body_of(wanted, **fields)))["ret"] == "1000"


async def test_a_model_without_references_takes_none(visitor, kit, image):
    wanted = kit.omni_input([kit.material("image", image)], [kit.meta("text", "a")])
    features = ["AIGC_Video_UnifiedEdit"]
    assert (await visitor.submit(kit.body_of(wanted, features=features)))[
        "ret"
    ] == "1000"


@pytest.mark.parametrize(
    ("benefit", "ret"),
    [
        ("dreamina_seedance_20_fast", "5001"),
        ("dreamina_seedance_20_fast_with_video", "0"),
    ],
)
async def test_a_reference_video_changes_the_benefit(unsigned, kit, clip, benefit, ret):
    answer = await unsigned.upload_media(clip)
    vid = answer["Result"]["Results"][0]["Vid"]
    metas = [kit.meta("text", "like "), kit.meta("video", 0)]
    wanted = kit.omni_input([kit.material("video", vid, 1000)], metas)
    fields = kit.OMNI | {"benefit": benefit}
    assert (await unsigned.submit(kit.body_of(wanted, **fields)))["ret"] == ret


async def test_a_sound_alone_is_no_reference(unsigned, kit, sound):
    answer = await unsigned.upload_media(sound)
    vid = answer["Result"]["Results"][0]["Vid"]
    wanted = kit.omni_input([kit.material("audio", vid)], [kit.meta("text", "a")])
    assert (await unsigned.submit(kit.body_of(wanted, **kit.OMNI)))["ret"] == "1000"
