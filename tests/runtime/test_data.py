import pytest

from runtime.data import REAL_SITE, SIMULATOR, DataFolder
from runtime.settings import SettingsError


def test_one_that_runs_alone_shares_with_nobody(tmp_path):
    with DataFolder(tmp_path, "", alone=True):
        for alone in (True, False):
            other = DataFolder(tmp_path, "", alone=alone)
            with pytest.raises(SettingsError, match="in use"), other:
                pass
    with DataFolder(tmp_path, "", alone=True):
        pass


def test_services_started_one_by_one_share(tmp_path):
    with DataFolder(tmp_path, "", alone=False), DataFolder(tmp_path, "", alone=False):
        alone = DataFolder(tmp_path, "", alone=True)
        with pytest.raises(SettingsError, match="--data"), alone:
            pass


def test_a_folder_belongs_to_one_upstream(tmp_path):
    with DataFolder(tmp_path / "new" / "folder", SIMULATOR, alone=True) as held:
        assert (held.path / "upstream").read_text().strip() == SIMULATOR
    real = DataFolder(tmp_path / "new" / "folder", "", alone=True)
    with pytest.raises(SettingsError, match=f"to simulator, not to {REAL_SITE}"), real:
        pass
    with DataFolder(tmp_path / "new" / "folder", SIMULATOR, alone=True):
        pass


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    folder = DataFolder(tmp_path / "file" / "data", "", alone=True)
    with pytest.raises(SettingsError, match=r"DATA_DIR .* cannot be written"), folder:
        pass
