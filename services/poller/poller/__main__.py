"""Runs the poller: `python -m poller`."""

from poller.app import create_app
from poller.settings import Settings
from runtime import service

if __name__ == "__main__":
    service.main(Settings, create_app)
