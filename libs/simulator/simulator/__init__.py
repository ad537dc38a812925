"""The Jimeng site, locally: as strict as the real one, with faults on demand."""

from simulator.app import create_app
from simulator.settings import DEMO_SESSIONS, Account, Credits, Knobs, Pace, Settings

__all__ = [
    "DEMO_SESSIONS",
    "Account",
    "Credits",
    "Knobs",
    "Pace",
    "Settings",
    "create_app",
]
