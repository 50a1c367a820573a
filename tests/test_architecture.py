"""The house holds (design.md 2): who may import whom, one door for each third party, no cycles, no overgrown files.

Imports are read from the source, those inside functions and under TYPE_CHECKING too.
"""

import ast
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "hpsearch"
LONGEST_FILE = 400

MAY_IMPORT = {
    "errors": "",
    "settings": "",
    "plain_files": "",
    "records": "",
    "titles": "",
    "cleaning": "",
    "extras": "errors",
    "user_code": "errors",
    "trust": "errors",
    "seeds": "settings",
    "reads": "settings",
    "places": "settings",
    "jobs": "records",
    "health": "records",
    "space": "errors plain_files records settings places user_code trust experiment",
    "experiment": "errors plain_files records",
    "data": "errors settings user_code",
    "training": "errors plain_files records settings experiment reads seeds",
    "families": "errors cleaning records settings data places user_code training",
    "search": "errors records settings experiment jobs seeds user_code space",
    "workers": "errors records experiment jobs space",
    "tracking": "errors records experiment cleaning",
    "readers": "errors plain_files records titles experiment",
    "comparing": "errors records titles",
    "report": "errors cleaning records experiment comparing health",
    "drafting": "errors settings records comparing space families",
    # where the parts meet, from the workers' end to the user's
    "running": "errors records settings data experiment jobs places reads seeds trust report space tracking training "
    "families search workers",
    "referee": "errors records settings comparing experiment jobs seeds space workers running trust",
    "console": "errors records experiment health report space families workers running cleaning",
    "final": "errors records comparing data experiment places readers report tracking training families running "
    "trust space",
    "studies": "errors records settings comparing experiment jobs seeds readers report space training families "
    "search workers running cleaning",
    "diagnosis": "errors records data experiment tracking training running",
    "api": "errors user_code records comparing diagnosis experiment health places seeds readers report drafting "
    "space training families search workers running referee console final studies cleaning trust",
    "agents": "errors user_code records experiment report space families running referee studies api cleaning trust",
    "web": "errors plain_files records cleaning trust experiment health search report console studies api",
    "cli": "errors data experiment report space tracking families search workers running referee console studies api "
    "agents web cleaning trust user_code",
    "lightning": "errors families training",
    "transformers": "errors families",
    "testing": "errors records settings jobs experiment seeds space tracking training families search running",
    "__init__": "errors records settings training families final api",
    "__main__": "cli",
}

EVERYWHERE = {"extras"}
"""Asked wherever a package is imported that an installation may lack."""

DOORS = {
    "optuna": "search/ readers/optuna_storage.py",
    "ray": "workers/ray_tune/ search/pb2.py",
    "fsspec": "workers/ray_tune/storage.py",
    "pyarrow": "workers/ray_tune/storage.py readers/table_file.py experiment/by_example.py",
    "sqlalchemy": "search/optuna_export.py readers/optuna_storage.py readers/mlflow_server.py",
    "mlflow": "tracking/mlflow/ readers/mlflow_server.py",
    "accelerate": "training/team.py",
    "pytorch_optimizer": "training/optimizers.py",
    "pytest": "testing/",
    "torch": "testing/ training/ families/ running/objective.py running/packed_objective.py final/",
    "onnxruntime": "final/networks.py",
    "onnxscript": "final/networks.py",
    "safetensors": "training/weights.py",
    "lightning": "lightning.py",
    "transformers": "families/text_classifier/ transformers.py",
    "typer": "cli/",
    "mcp": "agents/server.py",
    "matplotlib": "report/charts/ api/open.py api/probe.py families/deepsif/picture.py",
    "pandas": "report/tables.py api/open.py api/compared.py search/pb2.py readers/table_file.py",
    "tensorboard": "readers/tensorboard.py tracking/tensorboard.py",
    "wandb": "readers/wandb_offline.py tracking/wandb.py",
    "jinja2": "report/comparison/html.py",
    "markupsafe": "report/comparison/html.py",
    "plotly": "report/comparison/html.py",
    "starlette": "web/app.py",
    "uvicorn": "web/serve.py",
    "orjson": "experiment/ tracking/entries.py web/app.py",
    "tifffile": "data/movies.py",
    "mne": "data/",
    "nilearn": "data/",
    "nibabel": "data/",
    "h5py": "data/",
    "scipy": "comparing/statistics/ data/ families/decode/baselines.py search/",
    "PIL": "data/",
    "datasets": "data/",
    "sklearn": "data/ families/",
    "yaml": "space/located_yaml.py api/arguments.py readers/text_files.py",
    "rich": "console/ report/ studies/ cli/",
    "IPython": "console/notebook.py",
    "numpy": "final/serving.py comparing/ data/ search/ families/ training/",
    "pydantic": "settings.py testing/ agents/ space/ drafting/ studies/study.py training/ families/ data/ "
    "running/earlier.py referee/ cli/refereeing.py",
    "pydantic_core": "space/ drafting/",
}

FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}


def _part(file: str) -> str:
    return Path(file).parts[0].removesuffix(".py")


@cache
def _imports(file: str) -> list[str]:
    """Return what a file imports: `hpsearch.space.Space` for `from hpsearch.space import Space`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(FILES[file].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _module_file(name: str) -> str | None:
    """Return the file of hpsearch that an imported name lies in, or None for another package's."""
    words = name.split(".")
    for end in range(len(words), 0, -1):
        stem = "/".join(words[1:end])
        for candidate in (f"{stem}.py", f"{stem}/__init__.py".removeprefix("/")):
            if words[0] == "hpsearch" and candidate in FILES:
                return candidate
    return None


@cache
def _uses(file: str) -> set[str]:
    return {found for name in _imports(file) if (found := _module_file(name)) and found != file}


def test_a_part_imports_only_what_the_table_allows() -> None:
    upwards = {
        file: parts
        for file in FILES
        if (
            parts := {_part(used) for used in _uses(file)}
            - {_part(file), *MAY_IMPORT[_part(file)].split(), *EVERYWHERE}
        )
    }
    assert upwards == {}


def test_the_table_is_tight() -> None:
    used = {(_part(file), _part(other)) for file in FILES for other in _uses(file)}
    allowed = {(part, other) for part, others in MAY_IMPORT.items() for other in others.split()}
    assert allowed - used == set()


def test_third_parties_come_in_by_their_doors() -> None:
    through_walls = [
        (file, name)
        for file in FILES
        for name in {name.split(".")[0] for name in _imports(file)} - sys.stdlib_module_names - {"hpsearch"}
        if not file.startswith(tuple(DOORS[name].split()))
    ]
    assert through_walls == []


def test_no_imports_go_in_circles() -> None:
    left = {file: _uses(file) for file in FILES}
    while leaves := [file for file, used in left.items() if not used & left.keys()]:
        for file in leaves:
            del left[file]
    assert left == {}


def test_no_file_has_outgrown_its_room() -> None:
    lengths = {file: len(path.read_text(encoding="utf-8").splitlines()) for file, path in FILES.items()}
    assert {file: length for file, length in lengths.items() if length > LONGEST_FILE} == {}
