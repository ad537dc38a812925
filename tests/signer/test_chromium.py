"""The search for a browser, on made-up folders."""

import pytest

from runtime.settings import SettingsError
from signer import chromium


@pytest.fixture
def program(tmp_path):
    """Make an executable file."""

    def make(name, text="\x7fELF", mode=0o755):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return make


def test_the_first_candidate_that_can_be_run_is_taken(program, tmp_path):
    first, second = program("first"), program("second")
    assert chromium.find(None, [tmp_path / "none", first, second]) == first


def test_a_snap_is_passed_over_whatever_it_looks_like(program, tmp_path):
    program("snap/bin/snap")
    link = tmp_path / "chromium"
    link.symlink_to(tmp_path / "snap/bin/snap")
    script = program("chromium-browser", '#!/bin/sh\nexec /snap/bin/chromium "$@"\n')
    advice = program("google", "#!/bin/sh\necho 'run: snap install chromium'\n")
    real = program("real")
    assert chromium.find(None, [link, script, advice, real]) == real


def test_a_script_that_is_no_snap_is_taken(program):
    script = program("chromium", "#!/bin/sh\nexec /usr/lib/chromium/chromium\n")
    assert chromium.find(None, [script]) == script


def test_with_nothing_to_run_each_refusal_is_told(program):
    closed = program("closed", mode=0o644)
    snap = program("chromium", "#!/bin/sh\nexec /snap/bin/chromium\n")
    with pytest.raises(chromium.NoBrowserError) as told:
        chromium.find(None, [closed, snap])
    assert "closed cannot be executed" in str(told.value)
    assert "chromium is a snap" in str(told.value)


def test_with_no_candidate_at_all_it_says_that_none_is_installed(tmp_path):
    with pytest.raises(chromium.NoBrowserError, match="no Chromium is installed"):
        chromium.find(None, [tmp_path / "none"])


def test_a_chosen_browser_is_taken_before_all_others(program):
    chosen = program("chosen")
    assert chromium.find(chosen, [program("other")]) == chosen


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_chosen_browser_that_cannot_be_run_is_an_error(program, tmp_path, mode):
    chosen = tmp_path / "none" if mode is None else program("chosen", mode=mode)
    with pytest.raises(SettingsError, match=r"CHROMIUM_PATH .* (not there|executed)"):
        chromium.find(chosen, [program("other")])


def test_playwrights_own_browsers_are_found_the_small_one_first(program, tmp_path):
    whole = program("chromium-1255/chrome-linux64/chrome")
    small = program("chromium_headless_shell-1255/chrome-linux/chrome-headless-shell")
    assert chromium.playwrights(tmp_path) == [small, whole]
