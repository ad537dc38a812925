"""Runs the log streamer in a process of its own."""

from log_streamer.app import create_app
from log_streamer.settings import Settings
from runtime.service import main

if __name__ == "__main__":
    main(Settings, create_app)
