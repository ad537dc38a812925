"""A signer at work: commands in, one send, one fact out."""

import pytest

pytestmark = pytest.mark.browser


async def test_a_submit_through_the_page_is_taken_and_told_with_the_sites_id(
    signer, scheduler, site, in_page
):
    command = in_page()
    said = await scheduler.wants(command)
    [job] = site.world.jobs.values()
    assert said.subject == f"evt.task.{command.task}.signer.submitted"
    assert (said.upstream_id, said.attempt, said.n) == (job.id, 1, 1)
    assert job.submit_id == command.submit_id
    assert SECRET not in said.answer


SECRET = "51e0de305e55104d0000000000000001"
