"""A running gateway, with a stand-in that answers as the scheduler would."""

from access_support import door, open_door
from gateway_support import (
    all_beat,
    beat,
    gateway,
    run_gateway,
    scheduler,
    stand_in,
)

__all__ = [
    "all_beat",
    "beat",
    "door",
    "gateway",
    "open_door",
    "run_gateway",
    "scheduler",
    "stand_in",
]
