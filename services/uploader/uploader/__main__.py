"""Runs the uploader: `python -m uploader`."""

from runtime import service
from uploader.app import create_app
from uploader.settings import Settings

if __name__ == "__main__":
    service.main(Settings, create_app)
