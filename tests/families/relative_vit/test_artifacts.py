"""The heat maps that trainings leave behind, through the whole road."""

import json
from pathlib import Path

import pytest
import torch

from hpsearch.families.relative_vit.network import VisionTransformer, bias_maps
from hpsearch.families.relative_vit.settings import ModelSettings
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run

SPACE = """
family: {family}
objective: {{metric: val/loss}}
search: {{sampler: random, trials: {trials}, workers: 1}}
data: {{source: {{synthetic: {{examples: 40, size: [4, 6], channels: 1, classes: 3}}}}}}
model: {{patch: 2, width: 8, layers: 2, heads: 2, position: {position}}}
train: {{epochs: 2, learning_rate: {{log: [1e-3, 1e-2]}}}}
confirm: {{top: 1, seeds: 1}}
"""
KINDS = ("json", "png")
BROKEN = """
from hpsearch.families.relative_vit.family import RelativeVit
from hpsearch.families.relative_vit.task import ImageClassification


class BrokenTask(ImageClassification):
    def artifacts(self, model):
        raise ValueError("nothing to see")


class Broken(RelativeVit):
    def task(self, config, splits):
        return BrokenTask(config, splits["train"])
"""


def searched(tmp_path: Path, *, family: str = "relative_vit", position: str = "relative", trials: int = 1):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.format(family=family, position=position, trials=trials))
    finished = run(load_space(path), folder=tmp_path / "experiments" / "x", options=RunOptions(in_process=True))
    return [*finished.record.trials, *finished.record.replicates], tmp_path / "experiments" / "x"


def test_trials_and_replicates_keep_the_bias_of_their_best_weights(tmp_path: Path) -> None:
    runs, folder = searched(tmp_path)
    assert [each.outcome for each in runs] == [Outcome.COMPLETE] * 2
    for each in runs:
        place = folder / each.run / "artifacts"
        names = ["bias-block-01", "bias-block-02", "bias-statistics"]
        assert sorted(path.name for path in place.iterdir()) == [f"{name}.{kind}" for name in names for kind in KINDS]
        assert (place / "bias-block-01.png").read_bytes().startswith(b"\x89PNG")
        table = torch.load(folder / each.run / "best.pt", weights_only=True)["model"]["blocks.1.attention.bias.table"]
        (statistics,) = json.loads((place / "bias-statistics.json").read_text())["panels"].values()
        assert statistics[1] == pytest.approx(
            [table.mean().item(), table.std(correction=0).item(), table.min().item(), table.max().item()], abs=1e-7
        )
        panels = json.loads((place / "bias-block-02.json").read_text())["panels"]
        assert panels["head 1"][1][1] == pytest.approx(table[7, 0].item())  # no distance: row 7 of 15, window 2 x 3


def test_without_a_bias_there_is_nothing_to_show(tmp_path: Path) -> None:
    runs, folder = searched(tmp_path, position="none")
    assert not (folder / runs[0].run / "artifacts").exists()


def test_what_cannot_be_shown_does_not_cost_the_training(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    with pytest.warns(UserWarning, match="no artifacts: ValueError: nothing to see"):
        runs, _ = searched(tmp_path, family="./mine.py:Broken")
    assert [each.outcome for each in runs] == [Outcome.COMPLETE] * 2
    assert runs[1].scores["test/loss"] > 0


def test_a_map_for_each_block_and_a_panel_for_each_head() -> None:
    settings = ModelSettings(patch=1, width=8, layers=3, heads=2, pool="class_token")
    statistics = {"mean": torch.zeros(1), "deviation": torch.ones(1)}
    maps = bias_maps(VisionTransformer(settings, size=(3, 5), channels=1, classes=2, **statistics))
    assert list(maps) == ["bias-block-01", "bias-block-02", "bias-block-03", "bias-statistics"]
    for number in range(1, 4):
        panels = maps[f"bias-block-{number:02d}"].panels
        assert {name: (len(rows), len(rows[0])) for name, rows in panels.items()} == {
            "head 1": (3, 5),
            "head 2": (3, 5),
        }
    assert maps["bias-statistics"].rows == ("block 1", "block 2", "block 3")
