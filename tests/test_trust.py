"""Whose code runs: a stranger's only when the user has said so, whatever names it (hpsearch/trust.py, SECURITY.md).

The stranger's files leave a mark when they are imported or started; no command may leave one unasked.
"""

import ast
import json
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress
from contextvars import Context
from pathlib import Path

import pytest

import hpsearch
from hpsearch.api.spaces import written
from hpsearch.errors import UntrustedCodeError
from hpsearch.experiment.checksums import sealed
from hpsearch.trust import NamedCode, project_of, remember, strangers_in, trusting
from tests.calling import Call, Said, caller

MARK = "\nfrom pathlib import Path as _Path\n_Path(__file__).with_name('ran').touch()\n"
CODE = """
def train(lr, *, report):
    report(1, {"val/loss": lr})

def Sampler(seed=0):
    import optuna
    return optuna.samplers.RandomSampler(seed=seed)

def Pruner():
    import optuna
    return optuna.pruners.NopPruner()

def load():
    return {"text": "to be or not to be " * 200}
"""
TOY = """
objective: {metric: val/loss}
search: {sampler: random, pruner: none, trials: 2, workers: 1}
model: {start: {float: [-1, 1]}}
train: {epochs: 1, batch_size: 8}
"""
CHAR_LM = """
family: char_lm
objective: {metric: val/bits_per_char}
search: {sampler: random, pruner: none, trials: 1, workers: 1}
data: {source: ./evil.py:load, context: 8}
model: {layers: 1, width: {choice: [8, 16]}, heads: 1}
train: {epochs: 1}
"""
FUNCTION = """
family: ./evil.py:train
objective: {metric: val/loss, goal: minimize}
search: {sampler: random, pruner: none, trials: 1, workers: 1}
lr: {float: [0, 1]}
"""
OWN = FUNCTION.replace("./evil.py:train", "PROJECT/mine.py:train")
COMMAND = f"""
family: command
objective: {{metric: val/loss, goal: minimize}}
search: {{sampler: random, pruner: none, trials: 1, workers: 1}}
command: [{sys.executable}, evil.py, "{{lr}}"]
lr: {{float: [0, 1]}}
"""
SPACES = {
    "family": f"family: ./evil.py:Toy{TOY}",
    "function": FUNCTION,
    "sampler": OWN.replace("sampler: random", "sampler: ./evil.py:Sampler"),
    "pruner": OWN.replace("pruner: none", "pruner: {./evil.py:Pruner: {}}"),
    "source": CHAR_LM,
    "command": COMMAND,
}
STUDY = """
question: Is it so?
metric: {name: test/loss, goal: minimize}
arms: {a: {space: family.yaml}, b: {space: family.yaml, set: {model.width: 2}}}
budget: {trials: 1}
replicates: {seeds: 2}
"""


def write_stranger(folder: Path, project: Path) -> Path:
    """Write a stranger's folder of spaces, and a file of the project's own."""
    folder.mkdir(parents=True)
    toy = (Path(__file__).parent / "toy_family.py").read_text(encoding="utf-8")
    (folder / "evil.py").write_text(toy + CODE + MARK, encoding="utf-8")
    (project / "mine.py").write_text(CODE, encoding="utf-8")
    for name, text in SPACES.items():
        (folder / f"{name}.yaml").write_text(text.replace("PROJECT", str(project)), encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that commands are started in; nothing else is trusted, as in a command."""
    monkeypatch.delenv("HPSEARCH_TRUST")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project"
    folder.mkdir()
    with trusting(False):
        yield folder


@pytest.fixture
def stranger(tmp_path: Path, project: Path) -> Path:
    return write_stranger(tmp_path / "stranger", project)


@pytest.fixture
def call(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(project, monkeypatch, capsys)


def refused(said: Said, stranger: Path) -> None:
    assert said.status == 2, said
    assert "outside this project" in said.err
    assert "--trust" in said.err
    assert "Traceback" not in said.err
    assert not (stranger / "ran").exists()


RUNS = ("run", "lr-find", "overfit", "batch-size", "cluster")


@pytest.mark.parametrize(
    "words",
    [
        *(("run", f"{name}.yaml") for name in SPACES),
        *((command, "family.yaml") for command in RUNS[1:]),
        ("train", "family.yaml", "--params", "values.json"),
        ("study", "study.yaml"),
        ("study", "study.yaml", "--plan"),
        ("study", "study.yaml", "--at-once", "2"),
        ("init", "evil.py"),
        ("init", "evil.py:Toy"),
        ("schema", "evil.py:Toy"),
    ],
)
def test_a_strangers_space_is_not_run_unasked(words: tuple[str, ...], call: Call, stranger: Path) -> None:
    command, file, *rest = words
    refused(call(command, stranger / file, *rest), stranger)


@pytest.mark.parametrize("name", ["family", "function", "sampler", "pruner", "source"])
def test_check_leaves_a_strangers_code_out_and_says_so(name: str, call: Call, stranger: Path) -> None:
    said = call("check", stranger / f"{name}.yaml")
    assert (said.status, said.err) == (0, "")
    assert f"{stranger / 'evil.py'}" in said.out
    assert "--trust" in said.out
    assert not (stranger / "ran").exists()
    with (stranger / f"{name}.yaml").open("a", encoding="utf-8") as file:
        file.write("require: ['(']\nconfirm: {sedes: 3}\n")
    wrong = call("check", stranger / f"{name}.yaml")
    assert wrong.status == 2
    assert "sedes" in wrong.err  # what needs no code is checked all the same
    assert not (stranger / "ran").exists()


def test_no_way_to_write_a_path_hides_a_strangers_code(call: Call, stranger: Path, project: Path) -> None:
    """A folder that is called `~`, and `link/..`, which is two folders: where the link leads to, and where it lies."""
    for folder in ("~", "deep/er"):
        (stranger / folder).mkdir(parents=True)
    (stranger / "~" / "evil.py").write_text(
        (stranger / "evil.py").read_text() + MARK.replace("_name('ran'", "_name('../ran'")
    )
    (stranger / "link").symlink_to("deep/er")
    (project / "data").symlink_to(stranger / "deep" / "er")
    (stranger / "deep" / "evil.py").write_text((stranger / "evil.py").read_text().replace("'ran'", "'../ran'"))
    for name, was, now in (
        ("family", "./evil.py", "./~/evil.py"),
        ("source", "./evil.py", "./link/../evil.py"),
        ("family", "./evil.py", f"{project}/data/../evil.py"),
    ):
        (stranger / "space.yaml").write_text(SPACES[name].replace(was, now))
        refused(call("run", stranger / "space.yaml", "--in-process", "--no-mlflow"), stranger)


def test_a_device_is_no_code(project: Path) -> None:
    assert strangers_in([NamedCode("family", Path("/dev/zero"))]) == []


def test_check_imports_a_strangers_code_when_it_is_told_to(call: Call, stranger: Path) -> None:
    said = call("check", stranger / "family.yaml", "--trust")
    assert said.out == f"{stranger / 'family.yaml'}: fine (1 range)\n"
    assert (stranger / "ran").exists()


def test_check_reads_a_strangers_command_and_study(call: Call, stranger: Path) -> None:
    said = call("check", stranger / "command.yaml", stranger / "study.yaml")
    assert said.status == 0, said
    assert f"{stranger / 'command.yaml'}: fine (1 range)" in said.out
    assert "as far as it was checked" in said.out
    assert not (stranger / "ran").exists()


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stranger's experiment: one search that somebody ran elsewhere, with a confirmation and a model."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_stranger(folder / "stranger", folder)
    found = hpsearch.run(
        folder / "stranger" / "family.yaml",
        root=folder / "stranger",
        name="searched",
        in_process=True,
        mlflow=False,
        quiet=True,
        confirm=1,
        trust=True,
    )
    hpsearch.export(found, folder / "stranger" / "model", to="model", trust=True)
    (folder / "stranger" / "ran").unlink()
    return found.folder


@pytest.mark.parametrize(
    "words",
    [
        ("confirm", "EXPERIMENT", "--seeds", "2"),
        ("train", "--params", "best", "--from", "EXPERIMENT"),
        *(("export", "EXPERIMENT", f"a.{to}", "--to", to) for to in ("optuna", "model", "onnx", "torchscript")),
        ("predict", "EXPERIMENT"),
        ("evaluate", "EXPERIMENT", "--data", "a.csv"),
        ("predict", "MODEL", "--home", "HOME"),
        ("evaluate", "MODEL", "--home", "HOME", "--data", "a.csv"),
    ],
)
def test_a_strangers_experiment_and_model_are_not_run_unasked(
    words: tuple[str, ...], call: Call, experiment: Path
) -> None:
    home = experiment.parent
    given = {"EXPERIMENT": experiment, "MODEL": home / "model", "HOME": home}
    refused(call(*(given.get(word, word) for word in words)), home)


@pytest.mark.parametrize(
    "words",
    [
        ("show", "EXPERIMENT"),
        ("show", "EXPERIMENT", "--json"),
        ("watch", "EXPERIMENT", "--once"),
        ("compare", "EXPERIMENT", "--json"),
        ("export", "EXPERIMENT", "a.csv", "--to", "csv"),
        ("sync", "EXPERIMENT", "--to", "tensorboard"),
    ],
)
def test_what_only_reads_runs_nothing_and_asks_nothing(words: tuple[str, ...], call: Call, experiment: Path) -> None:
    said = call(*(experiment if word == "EXPERIMENT" else word for word in words))
    assert said.status == 0, said
    assert not (experiment.parent / "ran").exists()


@pytest.mark.parametrize(
    "words", [("export", "EXPERIMENT", "a", "--to", "model"), ("evaluate", "EXPERIMENT", "--data", "TEXT")]
)
def test_the_configuration_of_a_strangers_run_names_no_code_unasked(
    words: tuple[str, ...], call: Call, stranger: Path
) -> None:
    """The space of the experiment has none, and so was trusted."""
    (stranger / "text.txt").write_text("to be or not to be " * 200)
    (stranger / "plain.yaml").write_text(CHAR_LM.replace("source: ./evil.py:load", "path: ./text.txt"))
    space = stranger / "plain.yaml"
    found = hpsearch.run(space, root=stranger, confirm=False, in_process=True, mlflow=False, quiet=True)
    config = found.folder / "trials" / "0000" / "config.json"
    changed = config.read_text().replace('"path": "./text.txt"', '"source": "./evil.py:load"')
    config.write_text(json.dumps(sealed({name: each for name, each in json.loads(changed).items() if name != "crc"})))
    given = {"EXPERIMENT": found.folder, "TEXT": stranger / "text.txt"}
    refused(call(*(given.get(word, word) for word in words)), stranger)
    said = call("confirm", found.folder, "--seeds", "2", "--no-mlflow", "--in-process")
    assert said.status == 2
    assert "a fixed setting has changed" in said.err
    assert not (stranger / "ran").exists()


def test_in_python_the_caller_has_chosen_what_it_opens(
    project: Path, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert hpsearch.open(experiment).best is not None
    with pytest.raises(UntrustedCodeError, match="trust="):
        hpsearch.export(experiment, project / "model", to="model", trust=False)
    with pytest.raises(UntrustedCodeError):
        hpsearch.load_model(experiment, trust=False)
    assert not (experiment.parent / "ran").exists()
    assert Context().run(hpsearch.load_model, experiment).scores is not None  # outside of any command
    (experiment.parent / "ran").unlink()


def test_the_code_of_a_functions_caller_is_trusted_by_later_commands_too(project: Path, tmp_path: Path) -> None:
    """A notebook's function is kept in its experiment's folder, which may be elsewhere."""
    with written(tmp_path / "scratch" / "square", "square.py", "def square(x): ...\n") as file:
        assert strangers_in([NamedCode("family", file)]) == []
    file.write_text("import os\n")
    assert strangers_in([NamedCode("family", file)]) != []


def test_an_answer_is_remembered_for_the_file_as_it_is(stranger: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def check(*, answer: bool) -> bool:
        """Check the stranger's space, and return whether its code was imported."""

        def ask(question: str) -> bool:
            asked.append(question)
            return answer

        with trusting(False, ask=ask):
            (found,) = hpsearch.check(stranger / "family.yaml")
        return not found.left_out

    assert not check(answer=False)
    assert check(answer=True)
    assert len(asked) == 2
    assert str(stranger / "evil.py") in asked[0]
    kept = tmp_path / "config" / "hpsearch" / "trusted.json"
    assert list(json.loads(kept.read_text())["files"]) == [str(stranger / "evil.py")]
    assert (kept.stat().st_mode | kept.parent.stat().st_mode) & 0o077 == 0
    assert check(answer=False)
    assert len(asked) == 2
    with (stranger / "evil.py").open("a") as file:
        file.write("# changed\n")
    assert not check(answer=False)
    assert len(asked) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "status"), [("y", 0), ("n", 2), ("", 2)])
def test_at_a_terminal_the_user_is_asked(typed: str, status: int, project: Path, stranger: Path) -> None:
    child, terminal = pty.fork()
    if not child:
        os.chdir(project)
        os.execv(sys.executable, [sys.executable, "-m", "hpsearch", "overfit", str(stranger / "family.yaml")])  # noqa: S606
    said = b""
    with suppress(OSError):  # the other end is gone
        while chunk := os.read(terminal, 4096):
            said += chunk
            if b"[y/N]" in chunk:
                os.write(terminal, f"{typed}\n".encode())
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert b"It can do whatever you can do. Run it?" in said
    assert (ended == 2) == (status == 2)
    assert (stranger / "ran").exists() == (typed == "y")


def test_what_is_the_projects_own_is_never_asked_about(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    places = ("mine.py", "deep/er/mine.py", "vendored/theirs.py", "submodule/ours.py")
    for place in places:
        (project / place).parent.mkdir(parents=True, exist_ok=True)
        (project / place).touch()
    (project / "vendored" / ".git").mkdir()
    (project / "submodule" / ".git").write_text("gitdir: ../.git/modules/submodule\n")
    beside = project.with_name("project-2") / "mine.py"
    beside.parent.mkdir()
    beside.touch()
    (project / "link.py").symlink_to(beside)
    named = [
        NamedCode("family", path) for path in (*(project / place for place in places), project / "link.py", beside)
    ]
    for start in (project, project / "deep" / "er"):
        monkeypatch.chdir(start)
        assert project_of(Path.cwd()) == project
        assert [each.path for each in strangers_in(named)] == [project / "vendored" / "theirs.py", beside]
    monkeypatch.setenv("HPSEARCH_TRUST", f"{project}{os.pathsep}{beside.parent}")
    assert strangers_in(named) == []


def test_a_repository_of_the_whole_home_folder_is_no_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project))
    (project / ".git").mkdir()
    (project / "work").mkdir()
    assert project_of(project / "work") == project / "work"


def test_the_memory_is_for_a_file_and_its_place(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(project)
    one, other = (NamedCode("family", tmp_path / name / "a.py") for name in ("one", "other"))
    for each in (one, other):
        each.path.parent.mkdir()
        each.path.write_text("import beside\n")
    remember([one])
    assert strangers_in([one, other]) == [other]
    (tmp_path / "config" / "hpsearch" / "trusted.json").write_text("{damaged")
    assert strangers_in([one, other]) == [one, other]
    with trusting(True):
        assert strangers_in([one, other]) == []


SOURCE = Path(hpsearch.__file__).parent
CALLS = [
    (
        file.relative_to(SOURCE).as_posix(),
        ast.unparse(node.func),
        {word.arg: ast.unparse(word.value) for word in node.keywords},
    )
    for file in sorted(SOURCE.rglob("*.py"))
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def test_nothing_is_unpickled() -> None:
    """What reads a file that could be a pickle says that it does not unpickle it."""
    unsafe = (
        "pickle.load",
        "pickle.loads",
        "joblib.load",
        "torch.jit.load",
        "yaml.load",
        "yaml.unsafe_load",
        "eval",
        "exec",
    )
    found = [(file, name) for file, name, _ in CALLS if name in (*unsafe, "pd.read_pickle", "cloudpickle.load")]
    assert found == [("final/networks.py", "torch.jit.load")]  # the file that was just written
    loads = [(file, words) for file, name, words in CALLS if name == "torch.load"]
    assert loads
    assert all(words.get("weights_only") == "True" for _, words in loads), loads
    arrays = [(file, words) for file, name, words in CALLS if name == "np.load"]
    assert all(words.get("allow_pickle") == "False" for _, words in arrays), arrays


def test_what_imports_code_is_known() -> None:
    """Each of these asks first, or runs only in a worker, which gets what was asked about; so must a new one."""
    importing = {"find_code", "load_interface", "load_family", "load_function"}
    assert {(file, name) for file, name, _ in CALLS if name in importing} == {
        ("agents/tools.py", "load_interface"),  # asks; families of the shelf
        ("api/draft.py", "load_interface"),  # asks
        ("api/probe.py", "load_family"),  # of a space that was loaded
        ("cli/preparing.py", "load_interface"),  # asks; families of the shelf
        ("data/own_data.py", "find_code"),  # of a space that was loaded
        ("families/loading.py", "find_code"),
        ("families/loading.py", "load_interface"),
        ("final/opening.py", "load_family"),  # asks
        ("running/function_objective.py", "load_function"),  # in a worker
        ("running/loading.py", "load_interface"),  # asks
        ("running/objective.py", "load_family"),  # in a worker
        ("search/own.py", "find_code"),  # of a space that was loaded
        ("studies/reading.py", "load_interface"),  # of a space that is read, which asks
    }
