"""Pretrained encoders from a folder: against transformers' own, through training, resume and distillation."""

import json
import shutil
import sys

import pytest
import torch
from pydantic import ValidationError

from hpsearch.errors import DataError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.records import Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.checkpoint import save_best
from hpsearch.training.loop import fit
from hpsearch.training.task import Splits
from tests.training.test_resume import KilledError, assert_same_ending
from tests.training.toy import Recorder, numbers

pytestmark = pytest.mark.slow  # transformers takes seconds to import

COLOURS = ("red", "blue", "green")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    from tests.families.text_classifier.small_checkpoints import write_bert

    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    rows = [{"text": f"number {n} is {COLOURS[n % 3]} " + "so " * (n % 5), "label": n % 3} for n in range(60)]
    path = tmp_path_factory.mktemp("texts") / "all.json"
    path.write_text(json.dumps(rows))
    return str(path)


def config(texts, bert, *, network=None, data=(), **sections):
    chosen = {"path": texts, "tokenizer": {"pretrained": {"path": bert}}, "max_length": 12, **dict(data)}
    architecture = {"pretrained": {"path": bert, "dropout": 0}} if network is None else network
    return TextConfig.model_validate({"data": chosen, "model": {"architecture": architecture}, **sections})


def opened(settings):
    family = TextClassification()
    splits = Splits(lambda split: family.load(settings.data, split, seed=0), sealed=True)
    return splits, family.task(settings, splits)


def logits(model, batch):
    with torch.no_grad():
        return model.eval()(batch["tokens"], batch["length"])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_encoder_is_transformers_own(texts, bert, pooling):
    from transformers import AutoModel, AutoTokenizer

    splits, task = opened(config(texts, bert, network={"pretrained": {"path": bert, "pooling": pooling}}))
    model, batch, chosen = task.build_model().eval(), splits["train"].batch([3, 8, 21, 0]), splits["train"].texts
    tokenizer = AutoTokenizer.from_pretrained(bert)
    inputs = tokenizer([chosen[index] for index in (3, 8, 21, 0)], return_tensors="pt", padding=True)
    assert torch.equal(batch["tokens"], inputs["input_ids"])
    assert torch.equal(batch["length"], inputs["attention_mask"].sum(dim=1))
    with torch.no_grad():
        found = model.encoder(batch["tokens"], batch["length"])
        truth = AutoModel.from_pretrained(bert, dtype=torch.float32).eval()(**inputs)
    mask = inputs["attention_mask"][..., None]
    mean = (truth.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
    assert torch.allclose(found, mean if pooling == "mean" else truth.pooler_output, atol=1e-6)


def test_long_texts_are_cut_with_their_last_special_token_and_empty_ones_have_logits(texts, bert):
    splits, task = opened(config(texts, bert, data={"max_length": 4}))
    assert {len(row) for row in splits["train"].tokens} == {4}
    assert {(row[0], row[-1]) for row in splits["train"].tokens} == {(2, 3)}
    empty = {"tokens": torch.zeros(1, 1, dtype=torch.long), "length": torch.tensor([0])}
    assert logits(task.build_model(), empty).isfinite().all()


def test_parts_have_names_that_do_not_depend_on_the_checkpoint_and_rates_of_their_own(texts, bert):
    _, task = opened(config(texts, bert, network={"pretrained": {"path": bert, "layer_decay": 0.5}}))
    scales = {name: task.rate_scale(name) for name, _ in task.build_model().named_parameters()}
    assert scales["heads.0.weight"] == scales["encoder.model.pooler.dense.weight"] == 1
    assert scales["encoder.layers.1.output.dense.weight"] == 0.5
    assert scales["encoder.layers.0.attention.self.query.bias"] == 0.25
    assert scales["encoder.model.embeddings.LayerNorm.weight"] == 0.125


def trained(settings, folder=None, *, report=None):
    splits, task = opened(settings)
    model = task.build_model()
    monitor = Monitor("val/loss", Goal.MINIMIZE)
    seeds = Seeds.for_trial(0, 0)
    return model, fit(
        task, splits, settings.train, seeds=seeds, monitor=monitor, report=report or Recorder(), folder=folder
    )


TRAINING = {"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "device": "cpu"}


def test_fine_tuning_lowers_the_loss(texts, bert):
    _, result = trained(config(texts, bert, train={**TRAINING, "epochs": 12, "learning_rate": 1e-2}))
    losses = [each.metrics["val/loss"] for each in result.evaluations]
    assert losses[-1] < 0.5 * losses[0]
    assert result.evaluations[-1].metrics["val/accuracy"] == 1


@pytest.mark.parametrize("frozen", ["encoder", "encoder.layers.0"])
def test_frozen_parts_stay_the_checkpoints(texts, bert, tmp_path, frozen):
    freeze = {"parts": {"names": [frozen]}}
    model, _ = trained(config(texts, bert, train={**TRAINING, "epochs": 1, "freeze": freeze}), tmp_path)
    before = {name: value for name, value in model.named_parameters() if not name.startswith("heads.")}
    after = torch.load(tmp_path / "best.pt", weights_only=True)["model"]
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {name for name in before if name.startswith(f"{frozen}.")}


def test_a_resume_does_not_depend_on_the_folders_weights(texts, bert, tmp_path):
    from tests.families.text_classifier.small_checkpoints import write_bert

    folder = str(shutil.copytree(bert, tmp_path / "copy"))
    settings = config(texts, folder, train={**TRAINING, "epochs": 2})
    kept = config(texts, folder, train={**TRAINING, "epochs": 2, "checkpoint_seconds": 0})
    _, unbroken = trained(settings, tmp_path / "unbroken")
    with pytest.raises(KilledError):
        trained(kept, tmp_path / "resumed", report=Recorder({1: KilledError()}))
    write_bert(tmp_path / "copy", seed=9)
    _, resumed = trained(settings, tmp_path / "resumed")
    assert numbers(resumed.evaluations) == numbers(unbroken.evaluations)
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


def saved_as_teacher(settings, folder):
    model = opened(settings)[1].build_model().eval()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"config": settings.model_dump(mode="json")}))
    save_best(folder, model.state_dict(), step=1, metric="val/loss", value=0.0)
    return model


def test_it_teaches_and_learns(texts, bert, tmp_path):
    small = {"cnn": {"embedding": 8, "filters": 4, "widths": [1, 2], "dropout": 0}}
    for teaching, learning in ((None, small), (small, None)):
        folder = tmp_path / f"teacher {teaching is None}"
        teacher = saved_as_teacher(config(texts, bert, network=teaching), folder)
        splits, task = opened(config(texts, bert, network=learning, distillation={"teacher": str(folder), "alpha": 1}))
        student, batch = task.build_model().eval(), splits["train"].batch([3, 8, 21])
        soft, own = (logits(model, batch) / 4 for model in (teacher, student))
        expected = 16 * (soft.softmax(-1) * (soft.log_softmax(-1) - own.log_softmax(-1))).sum() / 3
        assert torch.allclose(task.loss(student, batch, task.scalars)["loss"], expected, atol=1e-5)


def test_network_and_tokens_must_name_the_same_folder(texts, bert):
    for tokens in ({"words": {}}, {"pretrained": {"path": "/elsewhere"}}):
        with pytest.raises(ValidationError, match="needs the tokens of its checkpoint"):
            config(texts, bert, data={"tokenizer": tokens})


def test_folders_that_do_not_do_are_refused_with_the_setting(texts, bert, tmp_path):
    from tests.families.text_classifier.small_checkpoints import WORDS, write_marian, write_tokenizer

    def refused(folder, **data):
        with pytest.raises(DataError) as caught:
            opened(config(texts, str(folder), data=data))[1].build_model()
        return str(caught.value)

    assert refused("/nowhere") == "data.tokenizer.pretrained.path: there is no folder /nowhere"
    assert "data.tokenizer.pretrained.path: no tokenizer of transformers can be read" in refused(tmp_path)
    write_tokenizer(tmp_path)
    assert "model.architecture.pretrained.path: no config of transformers can" in refused(tmp_path)
    copy = shutil.copytree(bert, tmp_path / "torn")
    (copy / "model.safetensors").write_bytes(b"nothing")
    assert "model.architecture.pretrained.path: no model of transformers can be read" in refused(copy)
    (copy / "model.safetensors").unlink()
    assert "no model of transformers can be read" in refused(copy)
    assert "data.max_length is 21, but" in refused(bert, max_length=21)
    more = shutil.copytree(bert, tmp_path / "more")
    write_tokenizer(more, (*WORDS, "new"))
    assert f"knows {len(WORDS)} tokens; its tokenizer makes {len(WORDS) + 1}" in refused(more)
    assert "holds an encoder with a decoder (marian)" in refused(write_marian(tmp_path / "marian"))


def test_weights_of_another_model_are_refused(texts, bert, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(bert, tmp_path / "other")
    weights = load_file(copy / "model.safetensors")
    save_file({name: value for name, value in weights.items() if ".layer.1." not in name}, copy / "model.safetensors")
    with pytest.raises(DataError, match=r"are not those of its model: encoder.layer.1.*is missing"):
        opened(config(texts, str(copy)))[1].build_model()


def test_without_transformers_it_says_what_to_install(texts, bert, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DataError, match=r'pip install "hpsearch\[text\]"'):
        opened(config(texts, bert))[1].build_model()
