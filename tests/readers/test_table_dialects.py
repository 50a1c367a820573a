"""Tables of text as tools and people write them: separators, decimal marks, encodings, and names of any kind."""

import csv
import io
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpsearch import compare
from hpsearch.errors import DataError, HpsearchError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.table import read, read_wide
from hpsearch.records import FinishedRun

ROWS = [("lstm", "0", "0.5"), ("gru", "0", "0.625"), ("lstm", "1", "0.25"), ("gru", "1", "12.5")]
SMALL = settings(max_examples=60, deadline=None)
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=8).map(str.strip)


def read_text(text: str | bytes, name: str = "t.csv", **asked: str) -> Reading:
    """Read a table that holds a text."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, Wanted(**asked))


def told(runs: Sequence[FinishedRun]) -> list[tuple[object, ...]]:
    """Return what matters of runs."""
    return [(run.experiment, run.seed, *(metric.value for metric in run.metrics.values())) for run in runs]


def written(rows: Sequence[Sequence[str]], separator: str = ",", header: str = "method seed accuracy") -> str:
    """Return rows as the module csv writes them."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([header.split(), *rows])
    return text.getvalue()


EXPECTED = [("lstm", 0, 0.5), ("gru", 0, 0.625), ("lstm", 1, 0.25), ("gru", 1, 12.5)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("name", ["t.csv", "t.TSV"])
def test_a_table_is_the_same_in_every_dialect(name: str, separator: str, decimal: str, encoding: str) -> None:
    rows = [(method, seed, value.replace(".", decimal)) for method, seed, value in ROWS]
    assert told(read_text(written(rows, separator).encode(encoding), name).runs) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nmethod;seed;accuracy\r\nlstm;0;0,5\r\n",  # Excel
        "method, seed, accuracy\nlstm, 0, 0.5\n",
        "method seed   accuracy\n  lstm   0 0.5\n",
        "method,seed,accuracy,\nlstm,0,0.5,\n",
        "method,seed,accuracy\nlstm,0,0.5,\n",
        '"method","seed","accuracy"\n"lstm","0","0.5"\n',
        "\n\nmethod,seed,accuracy\n\nlstm,0,0.5\n,,\n",
        " Method ,Random Seed,accuracy \nlstm,0,0.5\n",
        "method,seed,accuracy\rlstm,0,0.5\r",
    ],
)
def test_spaces_quotes_and_ends_of_lines_say_nothing(text: str) -> None:
    found = read_text(text)
    assert told(found.runs) == [("lstm", 0, 0.5)]
    assert found.runs[0].metrics.keys() == {"accuracy"}


def test_a_table_of_one_column_needs_no_separator() -> None:
    assert [run.metrics["val loss"].value for run in read_text("val loss\n0,5\n0,25\n").runs] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("method,seed,loss\na,0,0,5\n", "row 1 has 4 cells, separated by comma, but the header names 3 columns"),
        ("method,seed,loss\na,0,1\nb,0\nb,1,2\n", "row 2 has 2 cells"),
        ("a;b,c\n1;2,3\n4;5,6\n", "the columns may be separated by comma or by semicolon: say which with --separator"),
        ("method;seed;loss\na;0;1,234\n", 'say --decimal="," or --decimal="."'),
        ("method,loss,loss\na,1,2\n", "two columns are called 'loss'"),
        ('method,loss\n"a,1\nb,2\n', "cannot be read as a row of a table"),
        ("a,0,0.5\nb,0,0.25\n", "the first line has the number 0 where it should name a column"),
        ("method,seed,loss\n", "has no rows"),
        ("method,seed,loss\na,0,1\n ,1,2\n", "row 2 belongs to no method: its column 'method' is empty"),
    ],
)
def test_what_could_mean_two_things_is_refused(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says.replace(".", r"\.")):
        read_text(text)


def test_what_is_said_of_a_table_is_taken_as_said() -> None:
    (run, _) = read_text("a;b,c\n1;2,3\n4;5,6\n", separator="semicolon").runs
    assert {name: metric.value for name, metric in run.metrics.items()} == {"a": 1.0, "b,c": 2.3}
    text = "method;seed;loss\na;0;1,234\n"
    assert [told(read_text(text, decimal=mark).runs) for mark in ",."] == [[("a", 0, 1.234)], [("a", 0, 1234.0)]]
    with pytest.raises(HpsearchError, match="unknown separator ':'; known: bar, comma, semicolon, space, tab"):
        read_text(text, separator=":")
    with pytest.raises(HpsearchError, match="unknown decimal mark '\u00b7'"):
        read_text(text, decimal="\u00b7")


def test_a_torn_last_row_costs_that_row() -> None:
    found = read_text("method,seed,loss\na,0,1\nb,0,2\nb,1")
    assert told(found.runs) == [("a", 0, 1.0), ("b", 0, 2.0)]
    assert "the last row is torn and is left out" in found.warnings[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("method,loss\né,1\n".encode("latin-1"), "not text in UTF-8"),
        ("method,loss\na,1\n".encode("utf-16-le"), "NUL characters are no text: save the file as UTF-8"),
    ],
)
def test_what_is_no_text_is_said(content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_text(content)


@pytest.mark.parametrize("name", ["None", "NA", "nan", "null", "inf", "1e5", "007", "1_0", "0", "True", "-", "1,5"])
@pytest.mark.parametrize("part", ["method", "dataset", "fold"])
def test_names_that_look_like_something_else_stay_names(part: str, name: str) -> None:
    (run, other) = read_text(written([(name, "1"), ("b x", "2")], header=f"{part} loss")).runs
    found = run.experiment if part == "method" else getattr(run, part)
    assert str(found) == name
    assert (other.experiment if part == "method" else getattr(other, part)) == "b x"


@SMALL
@given(st.lists(NAMES.filter(bool), min_size=1, max_size=6, unique=True), st.sampled_from(",;\t|"))
def test_as_many_methods_and_data_sets_are_read_as_were_written(names: list[str], separator: str) -> None:
    rows = [(name, name, "0.5") for name in names]
    runs = read_text(written(rows, separator, header="method dataset accuracy")).runs
    assert [run.experiment for run in runs] == names
    assert len({run.dataset for run in runs}) == len(names)
    assert [str(run.dataset) for run in runs] == names


@SMALL
@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=6, unique=True))
def test_seeds_are_exact_beside_an_empty_cell(seeds: list[int]) -> None:
    rows = [*(("a", str(seed), "0.5") for seed in seeds), ("classic", "", "0.5")]
    assert [run.seed for run in read_text(written(rows)).runs] == [*seeds, None]


@SMALL
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "NA", "1_0", "10"]), st.integers(0, 3), st.integers(0, 99).map(str)),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_says_nothing(rows: list[tuple[str, int, str]], shuffle: random.Random) -> None:
    mixed = [(method, str(seed), value) for method, seed, value in rows]
    once = told(read_text(written(mixed)).runs)
    shuffle.shuffle(mixed)
    assert sorted(once, key=str) == sorted(told(read_text(written(mixed)).runs), key=str)


@SMALL
@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=2, max_size=8), st.sampled_from(";\t|"))
def test_a_decimal_comma_changes_no_number(values: list[float], separator: str) -> None:
    assume(any(value % 1 for value in values))
    texts = [f"{value:.5f}" for value in values]  # five decimals are no thousands
    rows = [("a", str(seed), text.replace(".", ",")) for seed, text in enumerate(texts)]
    found = [run.metrics["accuracy"].value for run in read_text(written(rows, separator)).runs]
    assert found == [float(text) for text in texts]


def test_spaces_around_a_name_are_no_part_of_it_and_that_is_said() -> None:
    found = read_text('method,seed,loss\n" a ",0,1\na,1,2\n')
    assert [run.experiment for run in found.runs] == ["a", "a"]
    assert "in column 'method' 'a' occurs with spaces around it and without: one name" in found.warnings[0]
    aligned = read_text("method ,seed,loss\na      ,0,1\na      ,1,2\n")
    assert aligned.warnings == ()


@pytest.mark.parametrize(
    ("cell", "value"), [("True", True), ("false", False), ("TRUE", True), ("yes", "yes"), ("0.10", 0.1), ("on", "on")]
)
def test_true_and_false_are_parameters_and_nothing_else_is_one_of_them(cell: str, value: object) -> None:
    (run,) = read_text(f"method,seed,params.amp,loss\na,0,{cell},1\n").runs
    assert run.params["amp"] == value
    assert type(run.params["amp"]) is type(value)


def test_groups_of_a_parameter_of_truth_values(tmp_path: Path) -> None:
    rows = [
        (flag, str(seed), f"{0.5 + 0.1 * seed + 0.01 * seed**2 * (flag == 'True'):.4f}")
        for seed in range(4)
        for flag in ("True", "False")
    ]
    (tmp_path / "t.csv").write_text(written(rows, header="batch_norm seed accuracy"))
    compared = compare(tmp_path / "t.csv", by="batch_norm").comparison
    assert [(each.name, each.n) for each in compared.experiments] == [("batch_norm=true", 4), ("batch_norm=false", 4)]
    assert compared.pairs[0].paired


def test_versions_are_texts_where_they_would_be_one_number() -> None:
    runs = read_text("method,seed,params.version,loss\na,0,1.10,1\na,1,1.1,1\n").runs
    assert [run.params["version"] for run in runs] == ["1.10", "1.1"]
    runs = read_text("method,dataset,loss\na,1.10,1\na,1.1,1\na,1.0,1\na,1,1\n").runs
    assert [str(run.dataset) for run in runs] == ["1.10", "1.1", "1.0", "1"]


def test_a_number_that_is_asked_for_is_the_parameter() -> None:
    text = "method,seed,layers,loss\na,0,2,0.5\na,1,4,0.25\n"
    assert read_text(text).runs[0].metrics.keys() == {"layers", "loss"}
    assert [(run.params, run.metrics.keys()) for run in read_text(text, by="layers").runs] == [
        ({"layers": 2}, {"loss"}),
        ({"layers": 4}, {"loss"}),
    ]


def test_a_list_in_quotes_is_no_number_and_that_is_said() -> None:
    found = read_text('method,seed,hidden,loss\na,0,"64,32",0.5\n')
    assert found.runs[0].params == {"hidden": "64,32"}
    assert "column 'hidden' is read as text, as its '64,32' has another decimal mark" in found.warnings[0]


def test_percents_are_numbers_where_all_are() -> None:
    assert [run.metrics["accuracy"].value for run in read_text("method,accuracy\na,93.5%\nb,7 %\n").runs] == [93.5, 7]
    mixed = read_text("method,accuracy\na,93.5%\nb,0.9\nc,0.8\n")
    assert [len(run.metrics) for run in mixed.runs] == [0, 1, 1]
    assert "'93.5%' in row 1" in mixed.warnings[0]


@pytest.mark.parametrize(
    ("key", "expected"), [("1.0", 1), ("1", 1), ("None", None), ("nan", None), ("", None), ("-0", "-0"), ("1e2", "1e2")]
)
def test_seeds_are_numbers_however_they_were_written(key: str, expected: object) -> None:
    # a column with other numbers only: there a text such as `nan` is a gap
    keys = [run.seed for run in read_text(f"method,seed,loss\na,{key},1\nb,7,2\n").runs]
    assert keys == [expected, 7]


def test_wide_tables_keep_to_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("dataset;ours;theirs\nNA;0,5;0,6\nnull;0,4;-\n1_0;0,3;0,4\n10;0,2;0,1\n")
    found = read_wide(path, "dataset")
    assert [str(run.dataset) for run in found.runs] == ["NA", "NA", "null", "null", "1_0", "1_0", "10", "10"]
    assert [len(run.metrics) for run in found.runs] == [1, 1, 1, 0, 1, 1, 1, 1]
    assert "column 'theirs' holds cells that are not numbers, which do not count: '-' in row 2" in found.warnings[0]
    path.write_text(",dataset,ours\n0,iris,0.5\n1,wine,0.25\n")
    assert [(run.experiment, run.dataset) for run in read_wide(path, "dataset").runs] == [
        ("ours", "iris"),
        ("ours", "wine"),
    ]
    path.write_text("dataset,seed,ours\niris,0,0.5\niris,1,0.25\n")
    assert [(run.dataset, run.seed) for run in read_wide(path, "dataset").runs] == [("iris", 0), ("iris", 1)]


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("dataset,a\niris,1\nwine,2\niris ,3\n", "dataset", "data set 'iris' is in rows 1 and 3"),
        ("seed,a\n1,1\n1.0,2\n", "seed", "seed '1' is in rows 1 and 2"),
        ("dataset,seed,a\niris,0,1\niris,0,2\n", "dataset", "data set 'iris', seed '0' is in rows 1 and 2"),
        ("dataset,a\niris,1\n,2\n", "dataset", "row 2 names no data set"),
        ("fold,a\n,1\n0,2\n", "fold", "row 1 names no fold"),
    ],
)
def test_a_wide_table_has_one_row_for_each_unit(tmp_path: Path, text: str, unit: str, says: str) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_wide(tmp_path / "w.csv", unit)


def test_rows_of_averages_in_a_long_table_do_not_count() -> None:
    rows = [
        ("a", "iris", "0.5"),
        ("a", "wine", "0.25"),
        ("a", "mean", "0.38"),
        ("b", "iris", "0.5"),
        ("b", "all", "0.7"),
    ]
    runs = read_text(written(rows, header="method dataset accuracy")).runs
    assert [run.run for run in runs if run.dropped] == ["a/mean"]
    assert runs[2].dropped == "holds the means of a"


def test_a_row_of_averages_is_no_data_set(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("dataset,a,b\niris,0.5,0.25\nwine,0.25,0.5\nglass,0.25,0.25\nAverage,0.333,0.33\n")
    found = read_wide(path, "dataset")
    assert [run.dataset for run in found.runs] == ["iris", "iris", "wine", "wine", "glass", "glass"]
    assert found.warnings[0].endswith("row 4 holds the means of the other rows and is left out")
    path.write_text("dataset,a,b\niris,0.5,0.25\nwine,0.25,0.5\nall,0.333,0.5\n")  # a data set of that name
    assert len(read_wide(path, "dataset").runs) == 6


@pytest.mark.parametrize(
    ("row", "n", "said"),
    [
        ("Avg. rank,1.5,1.5", 2, "row 3 holds the average ranks of the other rows and is left out"),
        ("Mean score,0.625,0.5", 2, "row 3 holds the means of the other rows and is left out"),
        ("Average rank,3,1", 3, "row 3 is called 'Average rank', as rows that sum up others are: it counts like them"),
        ("Std,0.125,0.25", 2, "row 3 holds the standard deviations of the other rows and is left out"),
        ("Std,0.3,0.9", 3, "row 3 is called 'Std', as rows that sum up others are: it counts like them"),
    ],
)
def test_a_row_that_is_called_a_summary_is_left_out_or_named(tmp_path: Path, row: str, n: int, said: str) -> None:
    (tmp_path / "t.csv").write_text(f"dataset,a,b\nx,0.5,0.75\ny,0.75,0.25\n{row}\n")
    found = read_wide(tmp_path / "t.csv", "dataset")
    assert len(found.runs) == 2 * n
    assert [each.partition(": ")[2] for each in found.warnings] == [said]


def test_an_average_of_something_else_in_a_long_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,dataset,acc\na,x,0.5\na,y,0.75\na,Average,0.9\n")
    found = read(tmp_path / "t.csv", Wanted())
    assert [run.dropped for run in found.runs] == [None] * 3
    assert found.warnings[0].endswith("'Average' is called as rows that sum up others are: it counts like them")


@pytest.mark.parametrize(
    ("end", "rows"), [("0.", 2), ("1e", 2), ("2.5e-", 2), ("-", 2), ("0.5", 3), ("7", 3), ("0.\n", 3)]
)
def test_a_number_without_its_end_is_torn(tmp_path: Path, end: str, rows: int) -> None:
    (tmp_path / "t.csv").write_text(f"method,seed,acc\na,0,0.5\na,1,0.75\na,2,{end}")
    found = read(tmp_path / "t.csv", Wanted())
    assert len(found.runs) == rows
    assert any("torn" in each for each in found.warnings) is (rows == 2)


def test_the_rule_below_the_header_of_a_table_in_markdown_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("| method | seed | acc |\n|:--|---|--:|\n| a | 0 | 0.5 |\n| b | 0 | 0.75 |\n")
    assert [run.experiment for run in read(tmp_path / "t.csv", Wanted()).runs] == ["a", "b"]


@pytest.mark.parametrize("end", ['"b', '"b","1","0.2', '"'])
def test_a_row_that_ends_between_quotes_is_torn(tmp_path: Path, end: str) -> None:
    (tmp_path / "t.csv").write_text(f'"method","seed","acc"\n"a, b","0","0.5"\n"b","0","0.75"\n{end}')
    found = read(tmp_path / "t.csv", Wanted())
    assert [(run.experiment, run.seed) for run in found.runs] == [("a, b", 0), ("b", 0)]
    assert found.warnings[0].endswith("the last row is torn and is left out")


@pytest.mark.parametrize("unit", ["fold", "seed", "dataset"])
def test_summaries_below_folds_and_seeds_do_not_count(unit: str) -> None:
    values = {"x1": "0.5", "x2": "0.75", "x3": "1", "mean": "0.75", "std": "0.25", "Average": "0.6"}
    found = read_text(
        "\n".join([f"method,{unit},acc", *(f"a,{name},{value}" for name, value in values.items())]) + "\n"
    )
    assert [run.dropped for run in found.runs] == [
        *(None, None, None, "holds the means of a", "holds the standard deviations of a", None)
    ]
    assert found.warnings[0].endswith("'Average' is called as rows that sum up others are: it counts like them")


def test_seeds_beside_the_one_that_counts_are_no_metrics() -> None:
    (run,) = read_text("method,seed,random_state,data_seed,acc\na,0,42,7,0.5\n").runs
    assert (run.seed, [*run.metrics], run.params) == (0, ["acc"], {"random_state": 42, "data_seed": 7})
