"""Runs the downloader: `python -m downloader`."""

from downloader.app import create_app
from downloader.settings import Settings
from runtime import service

if __name__ == "__main__":
    service.main(Settings, create_app)
