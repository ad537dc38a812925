"""A running gateway, with a stand-in that answers as the scheduler would."""

from access_support import door, on_record, open_door
from gateway_support import (
    all_beat,
    beat,
    gateway,
    run_gateway,
    scheduler,
    stand_in,
    tasks,
)
from issuer_support import issuer
from site_support import site

__all__ = [
    "all_beat",
    "beat",
    "door",
    "gateway",
    "issuer",
    "on_record",
    "open_door",
    "run_gateway",
    "scheduler",
    "site",
    "stand_in",
    "tasks",
]
