"""A short run of `make fuzz`: the document is kept, whatever is asked."""

import pytest

from fuzz.__main__ import asked, count
from fuzz.place import running

pytestmark = pytest.mark.slow


@pytest.mark.timeout(180)
@pytest.mark.parametrize("who", ["admin", "key"])
async def test_every_answer_is_one_of_the_documents(tmp_path, who):
    async with running(tmp_path) as place:
        status, told = await asked(
            place,
            getattr(place, who),
            seed=1,
            phases="examples,fuzzing,stateful",
            each=1,
        )
    assert status == 0, told
    assert count(told) > 100, told
