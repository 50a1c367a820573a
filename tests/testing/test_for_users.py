"""What users write with hpsearch.testing, run as they run it: good code passes, each fault fails its test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAMILY = '''\
"""The family of the README, and what can be wrong with one."""

import torch
from torch import nn

from hpsearch import Family, FamilyConfig, Goal, Settings, Task, TensorData


class Data(Settings):
    examples: int = 500


class Config(FamilyConfig):
    data: Data = Data()


class Circle(Task):
    def build_model(self):
        return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))

    def loss(self, forward, batch, scalars):
        return {"loss": nn.functional.binary_cross_entropy_with_logits(forward(batch["x"]), batch["inside"])}

    def evaluate(self, forward, batches):
        right = torch.cat([(forward(batch["x"]) > 0) == (batch["inside"] > 0) for batch in batches])
        return {"accuracy": float(right.float().mean())}


class Mine(Family):
    Config = Config
    metrics = {"accuracy": Goal.MAXIMIZE}

    def load(self, data, split, seed):
        draw = torch.Generator().manual_seed(seed + {"train": 0, "val": 1, "test": 2}[split])
        x = 2 * torch.rand(data.examples, 2, generator=draw) - 1
        return TensorData(x=x, inside=(x.norm(dim=1, keepdim=True) < 0.8).float())

    def task(self, config, splits):
        return Circle()


class Peeking(Mine):
    def task(self, config, splits):
        splits["test"]
        return Circle()


class Leaking(Mine):
    def load(self, data, split, seed):
        return super().load(data, "train" if split == "test" else split, seed)


class Restless(Mine):
    def load(self, data, split, seed):
        return super().load(data, split, int(torch.randint(1000, (1,))))


class Moody(Circle):
    def __init__(self):
        self.generator = torch.Generator()
        self.generator.seed()

    def loss(self, forward, batch, scalars):
        parts = super().loss(forward, batch, scalars)
        return {"loss": parts["loss"] * (1 + torch.rand((), generator=self.generator))}


class Unrepeatable(Mine):
    def task(self, config, splits):
        return Moody()
'''
SEARCH = """\
import random

import optuna


class Chance(optuna.samplers.RandomSampler):
    def __init__(self, seed):
        super().__init__(seed=seed)


def unseeded():
    return optuna.samplers.RandomSampler()


class Coin(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return random.random() < 0.5


class Late(optuna.pruners.BasePruner):
    def __init__(self, evaluations):
        self.evaluations = evaluations

    def prune(self, study, trial):
        return trial.number % 2 == 0 and trial.last_step >= self.evaluations
"""
SUITES = """\
import hpsearch.testing
import family
import search


class TestMine(hpsearch.testing.FamilySuite):
    family = family.Mine
    config = {"data": {"examples": 32}}


class TestPeeking(TestMine):
    family = family.Peeking


class TestLeaking(TestMine):
    family = family.Leaking


class TestRestless(TestMine):
    family = family.Restless


class TestUnrepeatable(TestMine):
    family = family.Unrepeatable


class TestChance(hpsearch.testing.SamplerSuite):
    sampler = search.Chance


class TestUnseeded(hpsearch.testing.SamplerSuite):
    sampler = search.unseeded


class TestLate(hpsearch.testing.PrunerSuite):
    pruner = search.Late
    options = {"evaluations": 3}


class TestCoin(hpsearch.testing.PrunerSuite):
    pruner = search.Coin
"""
CAUGHT = {
    "TestPeeking": "test_the_search_never_needs_the_test_split",
    "TestLeaking": "test_no_example_of_one_split_stands_in_another",
    "TestRestless": "test_equal_seeds_give_equal_data",
    "TestUnrepeatable": "test_the_same_seeds_give_the_same_numbers_and_others_do_not",
    "TestUnseeded": "test_the_seed_decides",
    "TestCoin": "test_equal_reports_get_equal_answers",
}


@pytest.mark.slow
def test_good_code_passes_and_each_fault_fails_its_test(tmp_path: Path) -> None:
    for name, text in {"family": FAMILY, "search": SEARCH, "test_mine": SUITES}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = [line.split()[:2] for line in ran.stdout.splitlines() if line.startswith(("PASSED ", "FAILED "))]
    failed = {place for verdict, place in verdicts if verdict == "FAILED"}
    passed = {place for verdict, place in verdicts if verdict == "PASSED"}
    assert not [place for place in failed if place.split("::")[1] not in CAUGHT], ran.stdout
    assert {place.split("::")[1] for place in passed} >= {"TestMine", "TestChance", "TestLate"}
    for suite, test in CAUGHT.items():
        assert f"test_mine.py::{suite}::{test}" in failed, ran.stdout
