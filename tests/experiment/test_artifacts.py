import json
from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.artifacts import artifact_files, write_heat_map
from hpsearch.records import HeatMap

TABLE = HeatMap("a title", {"": ((1.5, float("nan")), (0.0, float("-inf")))}, rows=("a", "b"))


def test_a_heat_map_becomes_numbers_and_a_picture(tmp_path: Path) -> None:
    write_heat_map(tmp_path, "bias-1.0", TABLE, picture=b"picture")
    assert [path.name for path in artifact_files(tmp_path)] == ["bias-1.0.json", "bias-1.0.png"]
    told = json.loads((tmp_path / "artifacts" / "bias-1.0.json").read_text())
    assert told["panels"] == {"": [[1.5, "nan"], [0.0, "-inf"]]}
    assert (told["version"], told["title"], told["rows"]) == (1, "a title", ["a", "b"])
    assert (tmp_path / "artifacts" / "bias-1.0.png").read_bytes() == b"picture"


@pytest.mark.parametrize("name", ["", "../bias", "a/b", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExperimentError, match="cannot name an artifact"):
        write_heat_map(tmp_path, name, TABLE, picture=b"")
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_is_no_artifact(tmp_path: Path) -> None:
    write_heat_map(tmp_path, "bias", TABLE, picture=b"picture")
    (tmp_path / "artifacts" / ".bias.png.1.tmp").write_bytes(b"pic")
    assert len(artifact_files(tmp_path)) == 2
    assert artifact_files(tmp_path / "nothing") == []
