"""Files, augmentation, distillation, curriculum, two tasks: through the family, on small files."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from hpsearch.errors import DataError, UnknownNameError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.loading import NO_LABEL
from hpsearch.families.text_classifier.settings import Curriculum, TextConfig
from hpsearch.families.text_classifier.task import curriculum_fraction, easiest, interleaved
from hpsearch.families.text_classifier.teacher import distillation_loss
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.training.checkpoint import save_best
from hpsearch.training.task import Splits, examples_in

CNN = {"cnn": {"embedding": 8, "filters": 4, "widths": [1, 2], "dropout": 0}}
SPACE = Path(__file__).parents[3] / "spaces" / "text_classifier.yaml"


def rows(count, *, first=0, label="label"):
    words = ("red", "blue", "green")
    return [
        {"text": f"number {number} is {words[number % 3]} " + "so " * (number % 5), label: number % 3}
        for number in range(first, first + count)
    ]


def write(path, examples):
    path.write_text(json.dumps(examples))
    return str(path)


def config(path, *, data=(), **sections):
    chosen = {"path": path, "tokenizer": {"words": {"minimum_count": 1}}, **dict(data)}
    return TextConfig.model_validate({"data": chosen, "model": {"architecture": CNN}, **sections})


def opened(settings, *, sealed=False):
    family = TextClassification()
    splits = Splits(lambda split: family.load(settings.data, split, seed=0), sealed=sealed)
    return splits, family


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "all.json", rows(60))


def test_one_file_is_divided_and_files_of_their_own_are_not(tmp_path, path):
    splits, _ = opened(config(path))
    assert [len(splits[part]) for part in ("train", "val", "test")] == [42, 6, 12]
    test = write(tmp_path / "test.json", rows(9, first=100))
    splits, _ = opened(config(path, data={"test_path": test}))
    assert [len(splits[part]) for part in ("train", "val", "test")] == [54, 6, 9]
    splits, _ = opened(config(path, data={"test_path": test, "val_path": test}))
    assert len(splits["train"]) == 60


def test_a_test_file_is_not_opened_by_the_search(path):
    splits, family = opened(config(path, data={"test_path": "/nowhere/test.json"}), sealed=True)
    family.task(config(path), splits)
    assert len(splits["val"]) == 6
    with pytest.raises(DataError, match="there is no text file"):
        splits.view(sealed=False)["test"]


def test_a_class_that_training_lacks_is_refused(tmp_path, path):
    test = write(tmp_path / "test.json", [{"text": "odd", "label": 7}])
    with pytest.raises(DataError, match="the test part has the class '7'"):
        opened(config(path, data={"test_path": test}))[0]["test"]


def test_only_the_named_classes_are_read(path):
    chosen, _ = opened(config(path, data={"classes": ["0", "2"]}))
    assert {part: len(chosen[part]) for part in ("train", "val", "test")} == {"train": 28, "val": 4, "test": 8}
    assert chosen["test"].classes == {"label": ("0", "2")}
    assert not any("blue" in text for text in chosen["train"].texts)
    with pytest.raises(UnknownNameError, match=r"unknown class in data\.classes '7'; known: 0, 1, 2"):
        opened(config(path, data={"classes": ["0", "7"]}))[0]["train"]
    with pytest.raises(UnknownNameError, match="'xmll', did you mean 'xml'"):
        opened(TextConfig.model_validate({"data": {"classes": ["xmll", "web"]}}))[0]["train"]


def test_only_the_training_part_is_augmented(path):
    chosen = {"techniques": ["random_swap", "random_deletion"], "factor": 2}
    plain, _ = opened(config(path))
    more, _ = opened(config(path, data={"augmentation": chosen}))
    assert len(more["train"]) == 3 * len(plain["train"])
    assert more["train"].texts[:42] == plain["train"].texts
    assert more["train"].labels[42:].tolist() == np.repeat(plain["train"].labels, 2, axis=0).tolist()
    assert more["val"].texts == plain["val"].texts
    assert examples_in(more["train"]) == len(plain["train"])  # copies are no further examples, for a test on folds


def test_distillation_is_hintons():
    torch.manual_seed(0)
    student, teacher, temperature = torch.randn(5, 3), torch.randn(5, 3), 4.0
    soft = torch.exp(teacher / temperature) / torch.exp(teacher / temperature).sum(dim=1, keepdim=True)
    own = torch.exp(student / temperature) / torch.exp(student / temperature).sum(dim=1, keepdim=True)
    expected = temperature**2 * (soft * (soft / own).log()).sum() / 5
    assert torch.allclose(distillation_loss(student, teacher, temperature=temperature), expected, atol=1e-6)
    assert distillation_loss(teacher, teacher, temperature=2.0).abs() < 1e-6


def teacher_folder(folder, settings, splits, family):
    torch.manual_seed(5)
    model = family.task(settings, splits).build_model().eval()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"config": settings.model_dump(mode="json")}))
    save_best(folder, model.state_dict(), step=1, metric="val/loss", value=0.0)
    return model


def test_a_student_learns_from_the_weighted_sum(tmp_path, path):
    splits, family = opened(config(path))
    teacher = teacher_folder(tmp_path / "run", config(path), splits, family)
    settings = config(path, distillation={"teacher": str(tmp_path / "run"), "alpha": 0.7})
    task = family.task(settings, splits)
    student, batch = task.build_model().eval(), splits["train"].batch([3, 8, 21])
    logits, soft = (model(batch["tokens"], batch["length"]) for model in (student, teacher))
    hard = functional.cross_entropy(logits, batch["labels"][:, 0])
    expected = 0.7 * distillation_loss(logits, soft, temperature=4.0) + 0.3 * hard
    parts = task.loss(student, batch, task.scalars)
    assert torch.allclose(parts["loss"], expected, atol=1e-6)
    parts["loss"].backward()
    assert all(weights.grad is None for weights in teacher.parameters())


def test_a_teacher_of_other_data_is_refused(tmp_path, path):
    splits, family = opened(config(path))
    teacher_folder(tmp_path / "run", config(path), splits, family)
    other = config(write(tmp_path / "b.json", rows(60, first=1)), distillation={"teacher": str(tmp_path / "run")})
    with pytest.raises(DataError, match="was trained with another vocabulary or other classes"):
        family.task(other, opened(other)[0])
    none = config(path, distillation={"teacher": str(tmp_path / "none")})
    with pytest.raises(DataError, match="is not a folder of a text_classifier's trial"):
        family.task(none, splits)


def test_the_curriculum_reaches_its_end_at_the_last_epoch():
    fractions = [curriculum_fraction(Curriculum(), epoch, 10) for epoch in range(10)]
    assert fractions[0] == 0.3
    assert fractions[-1] == 1.0
    assert np.allclose(np.diff(fractions), 0.7 / 9)
    assert curriculum_fraction(Curriculum(), 0, 1) == 1.0


def test_easy_examples_come_first(path):
    assert easiest(np.array([3.0, 1.0, 2.0, 1.0]), 0.5).tolist() == [1, 3]
    splits, family = opened(config(path))
    task = family.task(config(path, curriculum={}), splits)
    first, lengths = task.examples(0, 4), [len(row) for row in splits["train"].tokens]
    assert len(first) == round(0.3 * 42)
    assert max(lengths[index] for index in first) <= min(lengths[i] for i in range(42) if i not in first)
    assert task.examples(3, 4) == list(range(42))
    assert family.task(config(path), splits).examples(0, 4) is None


def test_difficulty_by_a_teacher_needs_one(path):
    with pytest.raises(ValidationError, match="needs a distillation"):
        config(path, curriculum={"difficulty": "teacher_loss"})


def test_the_smaller_task_is_repeated():
    labels = np.array([[0, NO_LABEL]] * 5 + [[NO_LABEL, 1]] * 2)
    assert interleaved(np.arange(7), labels).tolist() == [0, 1, 2, 3, 4, 5, 6, 5, 6, 5]
    assert interleaved(np.arange(5), labels).tolist() == [0, 1, 2, 3, 4]


def test_two_tasks_share_the_encoder_and_have_scores_of_their_own(tmp_path, path):
    other = write(tmp_path / "other.json", [{**row, "tone": row.pop("label") % 2} for row in rows(20, first=200)])
    settings = config(path, data={"auxiliary": {"path": other, "label_column": "tone"}})
    splits, family = opened(settings)
    task = family.task(settings, splits)
    train, model = splits["train"], task.build_model().eval()
    assert (train.labels != NO_LABEL).sum(axis=0).tolist() == [42, 14]
    assert [head.out_features for head in model.heads] == [3, 2]
    assert len(task.examples(0, 1)) == 84
    batch = train.batch([0, 1, 50, 51])
    first, second = model(batch["tokens"], batch["length"]).split([3, 2], dim=1)
    expected = 0.7 * functional.cross_entropy(first[:2], batch["labels"][:2, 0], reduction="sum") / 4
    expected = expected + 0.3 * functional.cross_entropy(second[2:], batch["labels"][2:, 1], reduction="sum") / 4
    assert torch.allclose(task.loss(model, batch, task.scalars)["loss"], expected, atol=1e-6)
    with torch.no_grad():
        scores = task.evaluate(model, [splits["val"].batch(range(len(splits["val"])))])
    assert set(scores) == set(TextClassification.metrics)
    assert family.baselines(settings, splits, "val")["majority"]["accuracy"] == pytest.approx(1 / 3)


def test_the_seeds_grid_asks_for_each_of_its_36_runs_once():
    rates, sizes, dropouts = (1e-5, 2e-5, 3e-5, 5e-5), (16, 32, 64), (0.1, 0.3, 0.5)
    space = load_space(
        SPACE,
        quick=False,
        overrides=[
            "search.sampler=grid",
            f"model.architecture={{cnn: {{dropout: {{choice: {list(dropouts)}}}}}}}",
            "loss.label_smoothing=0",
            f"train.learning_rate={{choice: {list(rates)}}}",
            f"train.batch_size={{choice: {list(sizes)}}}",
            "train.weight_decay=0.01",
            "start=[]",
        ],
    )
    search, asked = OptunaSearch(space), []
    while (params := search.ask(len(asked))) is not None:
        config = space.config(params)
        asked.append((config.train.learning_rate, config.train.batch_size, config.model.architecture.dropout))
    assert len(asked) == 36
    assert set(asked) == set(itertools.product(rates, sizes, dropouts))
