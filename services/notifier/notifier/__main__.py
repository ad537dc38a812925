"""Runs the notifier: `python -m notifier`."""

from notifier.app import create_app
from notifier.settings import Settings
from runtime import service

if __name__ == "__main__":
    service.main(Settings, create_app)
