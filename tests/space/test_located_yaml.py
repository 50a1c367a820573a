import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import SpaceError
from hpsearch.space.located_yaml import Place, Problems, node_from_plain, parse, read_file, resolve_scalar
from hpsearch.space.ranges import flow

START = Place("x.yaml", 1, 1)


def problem_of(text: str) -> str:
    with pytest.raises(SpaceError) as caught:
        parse(text, START)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 1e-3), ("1e3", 1000.0), (".5", 0.5), ("-1.5E+2", -150.0), ("1.", 1.0), ("+3", 3), ("-7", -7)],
        *[("0x10", 16), ("0o17", 15), ("012", 12), ("1:30", "1:30"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01")],
        *[("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("tRUE", "tRUE"), ("1e", "1e")],
        *[("true", True), ("FALSE", False), ("True", True), ("null", None), ("~", None), ("", None), ("nULL", "nULL")],
        *[(".inf", math.inf), ("-.Inf", -math.inf), ("e3", "e3"), (".", "."), ("-", "-")],
    ],
)
def test_scalars_follow_the_core_schema(text, value):
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(resolve_scalar(".nan"))


def test_quoted_scalars_are_text():
    assert parse("[\"1e-3\", 'true', '']", START).plain() == ["1e-3", "true", ""]


def test_every_key_and_value_has_its_place():
    root = parse("a:\n  b: [1, two]\n  c:\n    d: 3\n", START)
    item = root.nearest(["a", "b", 1])
    assert (item.place.line, item.place.column) == (2, 10)
    inner = root.nearest(["a", "c", "d"])
    assert (inner.key.line, inner.key.column) == (4, 5)
    assert (inner.place.line, inner.place.column) == (4, 8)


def test_a_path_that_was_not_written_falls_back_to_the_nearest_ancestor():
    root = parse("a:\n  b: 1\n", START)
    assert root.nearest(["a", "some tag", "b"]) is root.nearest(["a", "b"])
    assert root.nearest(["a", "missing"]) is root.nearest(["a"])


def test_aliases_are_followed():
    assert parse("a: &x {b: 1}\nc: *x\n", START).plain() == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: duplicate key 'a', first written in line 1"),
        ("a: 1\n<<: {b: 2}\n", "x.yaml:2:1: merge keys ('<<') are not supported; write the settings out"),
        ("a:\n  b: !!python/name:os.system x\n", "x.yaml:2:6: tags such as !!python/name:os.system are not allowed"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2:2: not valid YAML: while parsing a flow sequence, expected ',' or ']'"),
        ("a: *nothing\n", "x.yaml:1:4: not valid YAML: found undefined alias 'nothing'"),
        ("? [a]\n: 1\n", "x.yaml:1:3: a key must be a name"),
        ("a: 1\nb: \x07\n", "x.yaml:2:4: not valid YAML: the character"),
        ("a: &x [*x]\n", "too large: too many values, nested too deeply, or an endless alias"),
        ("a: 99999999999999999999\n", "x.yaml:1:4: a whole number of more than 64 bits"),
        ("[\n" * 2000, "nested too deeply"),
        ('"\\U99999999"', "not valid YAML"),
        ('a: "\\ud800"', "x.yaml:1:4: half of a surrogate pair is not text"),
        ("--- 1\n--- 2\n", "expected a single document"),
    ],
)
def test_what_is_refused_is_located(text, problem):
    assert problem in problem_of(text)


def test_aliases_of_aliases_do_not_fill_the_memory():
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert "too large" in problem_of("a0: &a0 [1]\n" + levels)


def test_all_refusals_of_a_file_come_at_once():
    assert len(problem_of("a: 1\na: 2\nb: !!x y\n").splitlines()) == 2


def test_files_that_cannot_be_read(tmp_path: Path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    found = {}
    for path in (tmp_path / "missing.yaml", tmp_path, latin, Path("nul\0l")):
        with pytest.raises(SpaceError) as caught:
            read_file(path)
        found[path] = str(caught.value)
    assert found[tmp_path / "missing.yaml"].endswith("missing.yaml: cannot be read: No such file or directory")
    assert found[tmp_path].endswith(": is a folder, not a file")
    assert found[latin].endswith("latin.yaml:2:7: not UTF-8 text (byte 0xe9)")
    assert "is not the name of a file" in found[Path("nul\0l")]


def test_a_byte_order_mark_is_no_text(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_file(path)[1].plain() == {"a": 1}


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(plain_data)
def test_plain_data_survive_the_nodes(value):
    assert node_from_plain(value, START).plain() == value


@given(plain_data.filter(lambda value: "inf" not in repr(value)))
def test_what_is_shown_reads_back_as_the_same(value):
    assert parse(flow(value), START).plain() == value


def test_mistakes_that_leave_something_to_read_do_not_hide_the_others(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("a: 1\na: 2\nb: on\n", encoding="utf-8")
    problems = Problems()
    _, root = read_file(path, problems)
    assert [(problem.line, problem.column) for problem in problems] == [(2, 1)]
    assert root.plain() == {"a": 1, "b": "on"}
