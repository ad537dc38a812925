"""The guide's programs, as they stand in it: in curl, Python and JavaScript."""

import asyncio
import io
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image

from media import probe
from support import free_port, http

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "seedance-2.0-integration.md"
SECONDS = 120
ADMIN = "the-operators-own-token-0123456789abcdef"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {
    "sh": ("curl", ["bash", "-eu"], "guide.sh"),
    "python": (sys.executable, [sys.executable], "guide.py"),
    "javascript": ("node", ["node"], "guide.mjs"),
}


def program(guide, language):
    """Join the blocks of one language."""
    found = BLOCK.findall(guide.read_text())
    return "\n\n".join(text for name, text in found if name == language)


@pytest.fixture(scope="module")
def guarded(deployment):
    """Give the address of a second gateway of the deployment, which wants keys."""
    port = free_port()
    environment = deployment.environment | {
        "PORT": str(port),
        "AUTH_ENABLED": "true",
        "ADMIN_TOKEN": ADMIN,
    }
    out = deployment.data.parent / "guarded.out"
    with out.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway_http"],
            stdout=file,
            stderr=file,
            env=environment,
            cwd=deployment.data.parent,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}", process, out)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def wait_for(url, process, out):
    limit = time.monotonic() + 40
    while time.monotonic() < limit:
        assert process.poll() is None, out.read_text()
        with suppress(httpx.HTTPError):
            if http.get(f"{url}/readyz").is_success:
                return
        time.sleep(0.05)
    raise AssertionError(out.read_text())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guides_program_makes_a_film(guarded, language, tmp_path):
    tool, command, name = LANGUAGES[language]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    (tmp_path / name).write_text(program(GUIDE, language))
    picture = io.BytesIO()
    Image.new("RGB", (640, 640), "orange").save(picture, "PNG")
    (tmp_path / "fox.png").write_bytes(picture.getvalue())
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    ran = subprocess.run(
        [*command, name],
        cwd=tmp_path,
        env=clean | {"GATEWAY": guarded, "ADMIN_KEY": ADMIN},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert "succeeded" in ran.stdout
    assert "422" in ran.stdout
    assert "invalid_request" in ran.stdout
    film = asyncio.run(probe(tmp_path / "fox.mp4"))
    assert (film.kind, film.width, film.height) == ("video", 1280, 720)
    left = "".join(path.read_text("latin-1") for path in tmp_path.iterdir())
    assert not re.search("gw_[0-9A-Za-z_-]{20}", left), "a key was left behind"


def test_both_languages_of_the_guide_have_the_same_programs():
    for language in LANGUAGES:
        assert program(GUIDE, language)
        other = GUIDE.with_suffix(".zh.md")
        assert program(other, language) == program(GUIDE, language)
    assert {name for name, _ in BLOCK.findall(GUIDE.read_text())} == set(LANGUAGES)


def test_links_between_documents_lead_somewhere():
    for document in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), (document.name, link)
