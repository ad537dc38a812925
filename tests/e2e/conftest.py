"""The whole gateway as separate processes: nats-server, seven services, the site."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import Nats, free_port, http

ORDER = (
    "scheduler",
    "uploader",
    "signer",
    "poller",
    "downloader",
    "notifier",
    "log_streamer",
    "gateway_http",
)
SESSION = "51e0de305e55104d0000000000000001"
READY_SECONDS = 40.0


class Deployment:
    """Processes of one gateway, started and ended by hand as an operator would."""

    def __init__(self, nats: Any, folder: Path, port: int) -> None:
        self.nats = nats
        self.data = folder / "data"
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.site = ""
        self.data.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What every service reads."""
        link = self.nats.link
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("JIMENG_")},
            "NATS_URL": link.url,
            "NATS_USER": link.user,
            "NATS_PASSWORD": link.password,
            "DATA_DIR": str(self.data),
            "JIMENG_UPSTREAM": self.site,
            "POLL_MIN_SECS": "0.3",
            "PORT": str(self.port),
        }

    def start_site(self) -> None:
        """Start the simulated site."""
        command = [sys.executable, "-m", "simulator", "--port", "0", "--data"]
        process = self._spawn(
            "site", [*command, str(self.data / "site"), "--scale", "0.4"], pipe=True
        )
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("simulator ready "), self.output("site")
        self.site = line.split()[-1]

    def start(self, service: str) -> None:
        """Start a service in a process of its own."""
        self._spawn(service, [sys.executable, "-m", service])

    def _spawn(
        self, name: str, command: list[str], *, pipe: bool = False
    ) -> subprocess.Popen[bytes]:
        with (self.data.parent / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE if pipe else out,
                stderr=out,
                env=self.environment,
                cwd=self.data.parent,
            )
        self.processes[name] = process
        return process

    def output(self, name: str) -> str:
        """What a process has written so far."""
        return (self.data.parent / f"{name}.out").read_text()

    def wait_until_ready(self) -> None:
        """Wait for /readyz."""
        last = ""
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended:\n{self.output(name)}"
            with suppress(httpx.HTTPError):
                answer = http.get(f"{self.url}/readyz")
                last = answer.text
                if answer.status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready: {last}")

    def stop(self, name: str) -> int:
        """Stop a process as its supervisor would; return its exit status."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(15)
        finally:
            process.kill()
            if process.stdout:
                process.stdout.close()

    def lines(self, service: str) -> list[dict[str, Any]]:
        """The JSON lines of a service."""
        return [json.loads(line) for line in self.output(service).splitlines()]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Give a running gateway with one session, shared by a module's tests."""

    folder = tmp_path_factory.mktemp("gateway")
    (folder / "nats").mkdir()
    nats = Nats(folder / "nats")
    nats.start()
    deployment = Deployment(nats, folder, free_port())
    try:
        _start_everything(deployment)
        yield deployment
        codes = {name: deployment.stop(name) for name in reversed(ORDER)}
        assert set(codes.values()) == {0}, codes
    finally:
        for name in list(deployment.processes):
            deployment.stop(name)
        nats.kill()


def _start_everything(deployment: Deployment) -> None:
    asyncio.run(deployment.nats.provision())
    deployment.start_site()
    for service in ORDER:
        deployment.start(service)
    deployment.wait_until_ready()
    added = http.post(
        f"{deployment.url}/api/v1/sessions",
        json={"session_id": SESSION, "label": "mine"},
        timeout=30,
    )
    assert added.status_code == 201, added.text
