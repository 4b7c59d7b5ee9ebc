"""`labnb demo` and `labnb lab` where they cannot work: one line that says why, and an exit code."""

import pytest

from labnb.cli import main


@pytest.mark.parametrize("command", [["demo", "--output"], ["lab", "--folder"]])
@pytest.mark.parametrize("folder", ["/proc/nowhere", "{tmp}/a file"])
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path, capsys, command, folder):
    (tmp_path / "a file").touch()
    folder = folder.format(tmp=tmp_path)
    assert main([*command, folder]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"labnb {command[0]}: {folder} cannot be made" in told
    assert "name another folder" in told
