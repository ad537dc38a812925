"""Runs the signer: `python -m signer`."""

from runtime import service
from signer.app import create_app
from signer.settings import Settings

if __name__ == "__main__":
    service.main(Settings, create_app)
