"""Texts as people have them: the files of TREC, GLUE's SST-2, AG News, fastText and `datasets`, by settings alone."""

import json
import warnings
from pathlib import Path

import pytest
from pydantic import ValidationError

import hpsearch
from hpsearch.data.fingerprint import fingerprint_of
from hpsearch.data.folds import classes_in
from hpsearch.errors import DataError, NoSplitError, SpaceError
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.families.text_classifier.reading import objections_to, read_part
from hpsearch.families.text_classifier.settings import DataSettings
from hpsearch.running.loading import load_space

TREC = (
    b"DESC:manner How did serfdom develop in and then leave Russia ?\n"
    b"ENTY:cremat What films featured the character Popeye Doyle ?\n"
    b"HUM:ind Who is the Jos\xe9 of the song ?\n"
)
SST2 = """\
sentence\tlabel
hide new secretions from the parental units \t0
"a quotation " opens it \t1
it 's charming\t1
"""


def data(home: Path, **given) -> DataSettings:
    places = ("path", "train", "val", "test", "val_path", "test_path", "class_names_file")
    located = {name: str(home / value) if name in places else value for name, value in given.items()}
    return DataSettings.model_validate(located)


def read(settings: DataSettings, *splits: str):
    return [read_part(settings, split, seed=0) for split in splits]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "train_5500.label").write_bytes(TREC * 4)
    (tmp_path / "TREC_10.label").write_bytes(
        b"ENTY:animal What is a group of turkeys called ?\nHUM:ind Who was Abraham ?\n"
    )
    glue = tmp_path / "SST-2"
    glue.mkdir()
    (glue / "train.tsv").write_text(SST2 + SST2.partition("\n")[2] * 3)
    (glue / "dev.tsv").write_text("sentence\tlabel\none long string of cliches . \t0\n")
    (glue / "test.tsv").write_text("index\tsentence\n0\tuneasy mishmash of styles and genres .\n")
    return tmp_path


def test_trec_is_read_as_it_is_published_and_its_encoding_is_said(home: Path) -> None:
    settings = data(home, train="train_5500.label", test="TREC_10.label", coarse_labels=True, val_fraction=0.25)
    with pytest.warns(
        UserWarning, match=r"train_5500.label is not UTF-8 \(byte 0xe9 in line 3\); it is read as ISO-8859"
    ):
        train, val, test = read(settings, "train", "val", "test")
    assert (len(train), len(val), len(test)) == (9, 3, 2)
    assert {*train.labels} == {"DESC", "ENTY", "HUM"}
    assert test.labels == ("ENTY", "HUM")
    assert "Who is the José of the song ?" in train.texts


def test_a_named_encoding_is_taken_without_a_word(home: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(data(home, train="train_5500.label", encoding="latin-1"), "train")
    with pytest.raises(DataError, match=r"train_5500.label is not UTF-8 text: byte 0xe9 .*ISO-8859-1"):
        read(data(home, train="train_5500.label", encoding="utf-8"), "train")
    with pytest.raises(ValidationError, match="unknown encoding 'latin-99'"):
        data(home, train="train_5500.label", encoding="latin-99")


@pytest.mark.parametrize("named", [{"train": "SST-2/train.tsv", "val": "SST-2/dev.tsv"}, {"train": "SST-2"}])
def test_glue_is_read_without_quoting_from_its_files_or_its_folder(home: Path, named: dict) -> None:
    train, val = read(data(home, text_column="sentence", **named), "train", "val")
    if "val" in named:  # the test is drawn from train
        assert len(train) == 10
    else:
        assert train.labels[:3] == ("0", "1", "1")
        assert train.texts[1] == '"a quotation " opens it '
    assert val.texts == ("one long string of cliches . ",)


def test_texts_without_labels_are_no_test(home: Path) -> None:
    with pytest.raises(DataError, match=r"test.tsv:2 has no 'label'; it has: index, sentence. Texts without labels"):
        read(data(home, train="SST-2/train.tsv", test="SST-2/test.tsv", text_column="sentence"), "test")


def test_columns_have_numbers_and_classes_names(tmp_path: Path) -> None:
    """As AG News has them: no header, labels from 1 on, a file of names."""
    (tmp_path / "train.csv").write_text('"3","Wall St.","Short sellers"\n"1","Oil","Exports, halted"\n"2","a","b"\n')
    (tmp_path / "classes.txt").write_text("World\nSports\nBusiness\nSci/Tech\n")
    columns = {"header": False, "text_column": 3, "label_column": 1, "first_label": 1, "test_fraction": 0}
    settings = data(tmp_path, path="train.csv", val_path="train.csv", class_names_file="classes.txt", **columns)
    (train,) = read(settings, "train")
    assert train.texts == ("Short sellers", "Exports, halted", "b")
    assert train.labels == ("Business", "World", "Sports")
    loaded = TextClassification().load(settings, "train", 0)
    assert loaded.classes == {"label": ("World", "Sports", "Business")}  # in the order of their numbers
    with pytest.raises(NoSplitError):
        TextClassification().load(settings, "test", 0)
    with pytest.raises(DataError, match=r"the label 3 has no name: there are 2 class names, for the labels 1 to 2"):
        read(settings.model_copy(update={"class_names_file": None, "class_names": ("a", "b")}), "train")
    with pytest.raises(ValidationError, match="without a header columns are given by number"):
        data(tmp_path, train="train.csv", header=False)


@pytest.mark.parametrize(
    ("content", "given", "texts", "labels"),
    [
        ("__label__1 good , very\n__label__0 bad\n", {}, ("good , very", "bad"), ("1", "0")),
        ("pos  good , very\nneg\tbad\n", {"format": "label_first"}, ("good , very", "bad"), ("pos", "neg")),
        ("good\tpos\nbad\tneg\n", {"format": "tsv", "header": False, "text_column": 1, "label_column": 2},
         ("good", "bad"), ("pos", "neg")),
    ],
)  # fmt: skip
def test_lines_have_named_formats(tmp_path: Path, content: str, given: dict, texts: tuple, labels: tuple) -> None:
    (tmp_path / "a.txt").write_text(content)
    (found,) = read(data(tmp_path, path="a.txt", val_path="a.txt", test_path="a.txt", **given), "train")
    assert (found.texts, found.labels) == (texts, labels)


@pytest.mark.parametrize(
    ("content", "given", "words"),
    [
        ("__label__1\n", {}, r"a.txt:1: a label and a text were expected"),
        ("__label__1 a\nb\n", {"format": "fasttext"}, r"a.txt:2: the line does not begin with __label__"),
        ("__label__1 __label__2 a\n", {}, r"a.txt:1: the line has several labels"),
        ("a b\n", {}, r"neither the ending '.txt' nor the lines say what the format is"),
        ("x a\n", {"format": "label_first", "coarse_labels": True}, r"a.txt:1: the label 'x' has no colon"),
        ("a\tb\n", {"format": "tsv", "header": False, "text_column": 3, "label_column": 1}, r"a.txt:1 has no '3'"),
    ],
)
def test_lines_that_are_otherwise_are_named(tmp_path: Path, content: str, given: dict, words: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError, match=words):
        read(data(tmp_path, train="a.txt", **given), "train")


SPACE = """\
family: text_classifier
objective: {{metric: val/accuracy, goal: maximize}}
search: {{trials: 1, pruner: none, workers: 1}}
data: {data}
train: {{learning_rate: {{log: [1e-3, 1e-2]}}}}
"""


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{train: train_5500.label, test: TREC_10.label}", r"data.test: the test part has the class 'ENTY:animal'"),
        ("{train: train_550.label}", r"data.train: there is no file or folder .*did you mean train_5500.label"),
        ("{train: SST-2/train.tsv}", r"data.train: .*train.tsv:2 has no 'text'; it has: sentence, label"),
        ("{train: SST-2, text_column: sentence}", r"data.train: .*test.tsv:2 has no 'label'"),
        ("{train: SST-2/empty.tsv}", r"data.train: the file .*empty.tsv is empty"),
        ("{train: nothing}", r"holds neither a file called train, such as train.tsv, nor a dataset .*it has: x"),
        ("{val: SST-2/dev.tsv}", r"val need a train"),
    ],
)
def test_check_finds_it_before_a_trial_is_burnt(home: Path, written: str, words: str) -> None:
    (home / "SST-2" / "empty.tsv").touch()
    (home / "nothing").mkdir()
    (home / "nothing" / "x").write_text("x")
    (home / "space.yaml").write_text(SPACE.format(data=written))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SpaceError, match=rf"space.yaml:4:\d+: .*{words}"):
            load_space(home / "space.yaml")


def test_a_guess_is_said_by_check_and_not_as_a_warning(home: Path) -> None:
    (home / "space.yaml").write_text(SPACE.format(data="{train: train_5500.label, coarse_labels: true}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = hpsearch.check(home / "space.yaml")
    (note,) = found.notes
    assert (
        "train_5500.label is not UTF-8 (byte 0xe9 in line 3); it is read as ISO-8859-1 (Latin-1); set data.enc" in note
    )
    (home / "space.yaml").write_text(
        SPACE.format(data="{train: train_5500.label, encoding: latin-1, coarse_labels: true, test_fraction: 0}")
    )
    (found,) = hpsearch.check(home / "space.yaml")
    assert ["no test split" in note for note in found.notes] == [True]


def test_the_spaces_of_trec_and_sst2_are_checked(home: Path) -> None:
    written = ("{train: train_5500.label, encoding: latin-1, coarse_labels: true}",
               "{train: SST-2/train.tsv, test: SST-2/dev.tsv, text_column: sentence}")  # fmt: skip
    for each in written:
        (home / "space.yaml").write_text(SPACE.format(data=each))
        load_space(home / "space.yaml")


def test_older_names_are_the_same_data(home: Path) -> None:
    family = TextClassification()
    older = data(home, path="SST-2/train.tsv", val_path="SST-2/dev.tsv")
    newer = data(home, train="SST-2/train.tsv", val="SST-2/dev.tsv")
    sources = [family.source(each) for each in (older, newer)]
    assert sources[0].key == sources[1].key
    assert len({fingerprint_of(source, Path).digest for source in sources}) == 1
    assert not {"train", "val", "test", "format", "header", "encoding"} & older.model_dump().keys()
    assert family.source(data(home, train="SST-2/train.tsv", first_label=1)).key != sources[1].key


def test_of_a_folder_only_the_splits_count(home: Path) -> None:
    settings = data(home, train="SST-2", text_column="sentence")
    before = fingerprint_of(TextClassification().source(settings), Path).digest
    (home / "SST-2" / "notes.md").write_text("no data")
    assert fingerprint_of(TextClassification().source(settings), Path).digest == before
    (home / "SST-2" / "dev.tsv").write_text("sentence\tlabel\nother\t0\n")
    assert fingerprint_of(TextClassification().source(settings), Path).digest != before


def test_classes_have_the_order_of_their_names() -> None:
    assert classes_in(("b", "a", "b"), ("c", "b", "a")) == ("b", "a")


@pytest.mark.parametrize("kind", ["saved", "parquet"])
def test_a_folder_of_datasets_is_its_splits(tmp_path: Path, kind: str) -> None:
    import datasets

    datasets.disable_progress_bars()
    names = datasets.ClassLabel(names=["negative", "positive"])
    features = datasets.Features({"sentence": datasets.Value("string"), "label": names})

    def part(texts: list[str], labels: list[int]):
        return datasets.Dataset.from_dict({"sentence": texts, "label": labels}, features=features)

    parts = {"train": part(["good", "bad", "ugly"], [1, 0, 0]), "validation": part(["fine"], [1])}
    if kind == "saved":
        datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    else:
        (tmp_path / "d" / "data").mkdir(parents=True)
        for name, rows in parts.items():
            rows.to_parquet(tmp_path / "d" / "data" / f"{name}-00000-of-00001.parquet")
    settings = data(tmp_path, train="d", text_column="sentence", test_fraction=0)
    train, val = read(settings, "train", "val")
    assert train.texts == ("good", "bad", "ugly")
    assert train.labels == ("positive", "negative", "negative")
    assert (val.texts, val.labels) == (("fine",), ("positive",))
    with pytest.raises(DataError, match=r"the dataset has no 'text'; it has: sentence, label"):
        read(data(tmp_path, train="d"), "train")
    broken = next((tmp_path / "d").rglob("*.parquet" if kind == "parquet" else "*.arrow"))
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read by datasets"):
        read(settings, "train", "val")


def test_a_folder_whose_first_file_is_not_that_of_training_is_fine(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name, labels in (("train", "xy" * 20), ("dev", "xy"), ("test", "yx")):
        rows = "".join(f"{name} {number}\t{label}\n" for number, label in enumerate(labels))
        (tmp_path / "d" / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    assert objections_to(data(tmp_path, train="d")) == {}
    (tmp_path / "d" / "dev.tsv").write_text("text\tlabel\nnew\tz\n")
    assert "the val part has the class 'z', of which training has no example; it has: x, y" in str(
        objections_to(data(tmp_path, train="d"))
    )


def test_rows_of_datasets_without_labels_are_told(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = datasets.Dataset.from_dict({"text": ["x"], "label": [-1]}, features=features)
    rows.save_to_disk(tmp_path / "d")
    with pytest.raises(DataError, match="rows without a label"):
        read(data(tmp_path, train="d"), "train")


def test_a_list_in_lines_says_which_format_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("".join(json.dumps({"text": f"t{n}", "label": n % 2}) + "\n" for n in range(20)))
    with pytest.raises(DataError, match="is not JSON"):
        read(data(tmp_path, train="a.json"), "train")
    assert len(read(data(tmp_path, train="a.json", format="jsonl"), "train")[0]) == 14
