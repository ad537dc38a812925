import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sealing import (
    Sealer,
    SealError,
    forget_previous,
    previous_of,
    previous_secret,
    root_secret,
    rotate,
)

ROOT = "r" * 32
SEALER = Sealer(ROOT, "credentials")


@given(value=st.text(max_size=200), place=st.text(max_size=40))
def test_what_was_sealed_opens_to_the_same(value, place):
    assert SEALER.open(SEALER.seal(value, place), place) == value


def test_two_seals_of_one_value_differ():
    assert SEALER.seal("a", "p") != SEALER.seal("a", "p")


def test_another_place_does_not_open_it():
    with pytest.raises(SealError, match="damaged"):
        SEALER.open(SEALER.seal("secret", "credentials:1"), "credentials:2")


@pytest.mark.parametrize(
    "other", [Sealer("x" * 32, "credentials"), Sealer(ROOT, "links")]
)
def test_another_key_or_purpose_does_not_open_it(other):
    with pytest.raises(SealError, match="SECRET_KEY"):
        other.open(SEALER.seal("secret", "p"), "p")


def test_no_changed_byte_and_no_missing_end_is_overlooked():
    sealed = SEALER.seal("secret", "p")
    for n in range(len(sealed)):
        changed = sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :]
        for damaged in (changed, sealed[:n]):
            with pytest.raises(SealError):
                SEALER.open(damaged, "p")


def test_the_file_is_made_once_however_many_start_and_is_ours_alone(tmp_path):
    file = tmp_path / "secret.key"
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: root_secret(None, file), range(64)))
    assert len(secrets) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["secret.key"]
    assert root_secret(None, file) in secrets


def test_a_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "secret.key"
    root_secret(None, file)
    file.chmod(0o640)
    with pytest.raises(SealError, match="chmod 600"):
        root_secret(None, file)


def test_a_given_secret_wins_and_a_short_one_is_refused(tmp_path):
    file = tmp_path / "secret.key"
    assert root_secret(ROOT, file) == ROOT
    assert not file.exists()
    with pytest.raises(SealError, match="shorter"):
        root_secret("short", file)


def test_a_rotated_file_has_another_secret_and_the_old_one_beside_it(tmp_path):
    file = tmp_path / "secret.key"
    old = root_secret(None, file)
    rotate(file)
    new = root_secret(None, file)
    assert new != old
    assert previous_secret(None, previous_of(file)) == old
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rotate(file)  # broken off before the old one was forgotten, and done again
    assert root_secret(None, file) == new
    assert previous_secret(None, previous_of(file)) == old
    forget_previous(file)
    assert previous_secret(None, previous_of(file)) is None
    assert [f.name for f in tmp_path.iterdir()] == ["secret.key"]


def test_a_rotation_that_broke_off_at_once_is_done_again(tmp_path):
    file = tmp_path / "secret.key"
    old = root_secret(None, file)
    previous_of(file).hardlink_to(file)
    rotate(file)
    assert root_secret(None, file) != old
    assert previous_secret(None, previous_of(file)) == old
