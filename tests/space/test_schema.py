import json

import pytest

from hpsearch.space import json_schema
from hpsearch.space.located_yaml import Place, parse
from tests.space.schema_check import accepts
from tests.space.test_space import SMALL, TEXT
from tests.space.toy import DATA, HEAD, Toy, read

SCHEMA = json_schema(Toy(), "toy")


def plain(text):
    return parse(text, Place("x", 1, 1)).plain()


@pytest.mark.parametrize("text", [TEXT, SMALL, HEAD + DATA])
def test_valid_spaces_are_accepted(text, tmp_path):
    assert accepts(SCHEMA, plain(text))
    assert accepts(SCHEMA, read(tmp_path, text).resolved())


@pytest.mark.parametrize(
    "written",
    [
        "model: {width: 0}",
        "model: {width: {int: [0, 4]}}",
        "model: {width: {int: [1, 4], stpe: 1}}",
        "model: {width: {float: [1, 4]}}",
        "model: {width: {choice: []}}",
        "model: {dropout: {float: [0]}}",
        "model: {dropout: {float: [0, 1]}}",
        "model: {activation: gelo}",
        "model: {activation: {choice: [gelo]}}",
        "model: {widht: 3}",
        "model: {position: {rop: {}}}",
        "model: {position: {rope: {}, learned: {}}}",
        "model: {position: {choice: {rope: {bas: 3}}}}",
        "model: {stack: [{width: x}]}",
        "train: {clip: {log: [0, 1]}}",
        "train: {stopping: {choice: [3]}}",
        "modle: {}",
        "search: {trials: {int: [1, 2]}}",
        "search: {sampler: tpee}",
        "search: {sampler: mine.txt:Mine}",
        "search: {pruner: {./mine.py:Mine: 3}}",
        "search: {pruner: {asha: {reduction: 1}}}",
        "quick: 3",
        "confirm: {seeds: 0}",
        "data: {shuffle: 3}",
    ],
)
def test_mistakes_are_refused(written):
    text = HEAD + DATA * (not written.startswith("data")) + written
    assert not accepts(SCHEMA, plain(text))


@pytest.mark.parametrize(
    "written",
    [
        "model: {width: {choice: [4, 8]}, dropout: {float: [0, 0.5], step: 0.1}, layers: {int: [1, 4], log: true}}",
        "model: {position: {choice: [rope, learned]}, feed: {choice: {mixture: {router: {choice: [gate]}}}}}",
        "model: {position: {rope: }, feed: dense, sizes: {choice: [[1], [2, 3]]}, stack: [{width: {int: [1, 2]}}]}",
        "train: {clip: null, stopping: {patience: {int: [1, 3]}}, learning_rate: {log: [1e-4, 1]}}",
        "train: {clip: {choice: [null, 1.0]}, stopping: {choice: [null, {patience: 3}]}}",
        "search: {time: 1h30m, trial_time: 60, workers: auto, sampler: {tpe: {startup: 3}}, pruner: none}",
        "search: {sampler: ./mine.py:Mine, pruner: {./mine.py:Mine: {after: 3}}}",
        "quick: {train.epochs: 2}",
    ],
)
def test_every_form_of_a_range_is_accepted(written, tmp_path):
    text = HEAD + DATA + written
    read(tmp_path, text)
    assert accepts(SCHEMA, plain(text))


def test_metrics_and_texts_are_in_the_schema():
    properties = SCHEMA["properties"]
    assert properties["family"]["const"] == "toy"
    assert properties["objective"]["properties"]["metric"]["enum"] == ["val/accuracy", "val/loss"]
    assert properties["model"]["anyOf"][0]["description"] == "The network."
    assert properties["model"]["anyOf"][0]["properties"]["heads"]["description"] == "How many attention heads."
    assert properties["train"]["anyOf"][0]["properties"]["epochs"]["default"] == 10
    assert SCHEMA["additionalProperties"] is False
    json.dumps(SCHEMA)
