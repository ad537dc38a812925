"""A running gateway, with a stand-in that answers as the scheduler would."""

from gateway_support import (
    all_beat,
    beat,
    gateway,
    run_gateway,
    scheduler,
    stand_in,
)

__all__ = ["all_beat", "beat", "gateway", "run_gateway", "scheduler", "stand_in"]
