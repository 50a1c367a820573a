"""Back-translation: each text once, the training part alone, by models from local folders."""

import json

import pytest
from pydantic import ValidationError

from hpsearch.data.words import augmented_copies
from hpsearch.errors import DataError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.pretrained import BackTranslator, local_translator
from hpsearch.families.text_classifier.settings import TextConfig


def test_each_text_is_translated_there_and_back_once():
    asked = []

    def there(texts):
        asked.extend(texts)
        return [f"<{text}>" for text in texts]

    translate = BackTranslator(there, lambda texts: [text.upper() for text in texts])
    assert translate(["a", "b", "a"]) == ["<A>", "<B>", "<A>"]
    assert translate(["c", "a"]) == ["<C>", "<A>"]
    assert asked == ["a", "b", "c"]


def test_the_translation_is_one_of_the_candidates():
    settings = {"probability": 0.1, "synonyms": {}, "seed": (0, 0), "back_translated": "a, man!"}
    assert augmented_copies("one man", techniques=["back_translation"], copies=2, **settings) == ["a, man!"] * 2
    both = augmented_copies("one man", techniques=["back_translation", "random_swap"], copies=2, **settings)
    assert set(both) <= {"a, man!", "man one"}


def test_technique_and_translators_need_each_other():
    folders = {"there": "a", "back": "b"}
    for chosen in ({"techniques": ["back_translation"]}, {"back_translation": folders}):
        with pytest.raises(ValidationError, match="need each other"):
            TextConfig.model_validate({"data": {"augmentation": chosen}})


def test_a_tokenizer_of_sentencepiece_is_refused_without_it(tmp_path):
    (tmp_path / "source.spm").write_bytes(b"")
    with pytest.raises(DataError, match=r"^there: the tokenizer in .* missing: pip install sentencepiece"):
        local_translator(str(tmp_path), setting="there")


@pytest.mark.slow
def test_marian_models_in_local_folders_change_the_training_part_alone(tmp_path):
    from transformers import AutoTokenizer, MarianMTModel

    from tests.families.text_classifier.small_checkpoints import write_marian

    there, back = (write_marian(tmp_path / name, seed=seed) for seed, name in enumerate(("there", "back")))
    path = tmp_path / "all.json"
    path.write_text(json.dumps([{"text": f"number {n} is red", "label": n % 2} for n in range(30)]))
    folders = {"there": there, "back": back}
    chosen = {"techniques": ["back_translation"], "back_translation": folders}
    data = TextConfig.model_validate({"data": {"path": str(path), "augmentation": chosen}}).data
    train, val = (TextClassification().load(data, part, seed=0) for part in ("train", "val"))
    texts = list(train.texts[:21])
    assert (len(train), len(val)) == (42, 3)
    assert all(text.endswith("is red") for text in val.texts)
    expected = texts
    for folder in (there, back):
        inputs = AutoTokenizer.from_pretrained(folder)(expected, return_tensors="pt", padding=True)
        inputs.pop("token_type_ids", None)
        answers = MarianMTModel.from_pretrained(folder).eval().generate(**inputs, do_sample=False, max_length=32)
        expected = AutoTokenizer.from_pretrained(folder).batch_decode(answers, skip_special_tokens=True)
    assert list(train.texts[21:]) == expected
    with pytest.raises(DataError, match="there: there is no folder"):
        local_translator(str(tmp_path / "none"), setting="there")
