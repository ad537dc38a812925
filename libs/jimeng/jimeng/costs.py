"""What a job is expected to cost, in the site's credits; the site alone decides.

Charges were seen for four models, for 5 s each: 24 for mini, 30 for fast VIP, 70 for
VIP, 45 for a draft of 2.5. The others are taken for as much as the dearest of their
family, so that a budget is rather kept than overdrawn.
"""

from jimeng.image_models import PER_JOB
from jimeng.models import find_model
from jimeng.video_models import VideoModel

_PER_SECOND = {
    "dreamina_seedance_40_mini": 5,
    "dreamina_seedance_40_vision": 6,
    "dreamina_seedance_40": 6,
    "seedance_2_0_lite": 6,
    "dreamina_seedance_45_pro_draft": 9,
}
_DEAREST = 14
_BASIC = 5  # what is no Seedance 2
_PER_IMAGE = 1


def expected_credits(model: str, seconds: int) -> int:
    """Return what a job of so many seconds may cost. Raises InvalidJob."""
    found = find_model(model)
    if not isinstance(found, VideoModel):
        return PER_JOB * _PER_IMAGE
    other = _DEAREST if "seedance" in found.key else _BASIC
    return max(1, seconds) * _PER_SECOND.get(found.key, other)
