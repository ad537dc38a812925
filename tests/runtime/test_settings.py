import os

import pytest

from runtime.settings import (
    PermitSettings,
    Settings,
    SettingsError,
    UpstreamSettings,
    load,
    unknown_names,
)


class _Whole(PermitSettings, UpstreamSettings, Settings):
    pass


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("JIMENG_", "NATS_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("SETTLE_SECS", "inf"),
        ("PERMIT_SECS", "soon"),
        ("PERMIT_SECS", "0"),
        ("JIMENG_UPSTREAM", "localhost:9000"),
        ("JIMENG_UPSTREAM", "ftp://127.0.0.1"),
    ],
)
def test_a_value_that_does_not_parse_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load(_Whole)


def test_the_environment_wins_over_a_file_and_the_file_over_the_default(
    monkeypatch, tmp_path
):
    assert load(_Whole).permit_secs == 15
    (tmp_path / ".env").write_text("PERMIT_SECS=11\nSUBMIT_TIMEOUT_SECS=21\nOTHER=1\n")
    monkeypatch.setenv("PERMIT_SECS", "12")
    read = load(_Whole)
    assert (read.permit_secs, read.submit_timeout_secs) == (12, 21)


@pytest.mark.parametrize(("settle", "good"), [("55", False), ("55.1", True)])
def test_settling_takes_longer_than_a_send_can(monkeypatch, settle, good):
    monkeypatch.setenv("SETTLE_SECS", settle)
    if good:
        assert load(_Whole).settle_secs == 55.1
    else:
        with pytest.raises(SettingsError, match=r"SETTLE_SECS must be above .*\(55\)"):
            load(_Whole)


def test_how_late_an_effect_may_show_is_what_settling_adds(monkeypatch):
    monkeypatch.setenv("LATE_SECS", "1")
    monkeypatch.setenv("SETTLE_SECS", "46.1")
    assert load(_Whole).settle_secs == 46.1


def test_an_upstream_is_taken_as_an_origin(monkeypatch):
    monkeypatch.setenv("JIMENG_UPSTREAM", "http://127.0.0.1:9000/a?b")
    assert load(_Whole).jimeng_upstream == "http://127.0.0.1:9000"


def test_unknown_names_of_ours_are_found_in_the_environment_and_the_file(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("JIMENG_UPSTREM", "x")
    monkeypatch.setenv("JIMENG_UPSTREAM", "")
    (tmp_path / ".env").write_text("export JIMENG_OLD=1\n# JIMENG_NOTE=1\nPORT=1\n")
    assert unknown_names({"JIMENG_UPSTREAM"}) == ["JIMENG_OLD", "JIMENG_UPSTREM"]


def test_a_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("NATS_USER", "poller")
    monkeypatch.setenv("NATS_PASSWORD", "hunter2")
    read = load(_Whole)
    assert "hunter2" not in repr(read)
    assert read.link.password == "hunter2"


def test_settings_cannot_be_changed_after_the_start():
    with pytest.raises(ValueError, match="frozen"):
        load(_Whole).permit_secs = 1
