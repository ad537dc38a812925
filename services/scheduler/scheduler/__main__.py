"""Runs the scheduler in a process of its own."""

from runtime.service import main
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings

if __name__ == "__main__":
    main(SchedulerSettings, create_app)
