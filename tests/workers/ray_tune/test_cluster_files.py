"""The files that start clusters, as far as one machine can tell: Slurm's commands are stand-ins, Ray is real."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hpsearch.cli import app
from hpsearch.errors import UnknownNameError
from hpsearch.workers.engines import Cluster
from hpsearch.workers.ray_tune.cluster import CLUSTER_FILES, cluster_file, import_ray
from tests.workers.ray_tune.slurm_stand_in import Slurm

ROOT = Path(__file__).parents[3]
COMMANDS = typer.main.get_group(app).commands
PAGE = (ROOT / "docs" / "tutorials" / "cluster.md").read_text(encoding="utf-8")
RAY = next(
    line.removeprefix("ray==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line.startswith("ray==")
)


INTERRUPTIBLE = """
import signal, sys

def interrupt(*_):
    print("saved", flush=True)
    sys.exit(130)

signal.signal(signal.SIGINT, interrupt)
print("searching", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    opened = Slurm(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", CLUSTER_FILES)
def test_the_command_prints_a_file_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(["cluster", "--file", name], standalone_mode=False)
    printed = capsys.readouterr().out
    assert printed == (ROOT / "hpsearch/workers/ray_tune/files" / CLUSTER_FILES[name]).read_text(encoding="utf-8")
    assert "CHANGE" in printed
    assert f"--file {name}" in PAGE


def test_an_unknown_file_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'slurm'\\?; known: kuberay, slurm, ssh"):
        cluster_file("slrum")


def test_the_files_are_all_there_is_and_are_installed() -> None:
    folder = ROOT / "hpsearch/workers/ray_tune/files"
    assert {path.name for path in folder.iterdir()} == set(CLUSTER_FILES.values())
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    installed = {path for pattern in settings["package-data"]["hpsearch"] for path in (ROOT / "hpsearch").glob(pattern)}
    assert {folder / name for name in CLUSTER_FILES.values()} <= installed


def options_of(text: str, command: str) -> list[set[str]]:
    """Return the options of each `ray start` or the like in a file, whose lines may go on after a backslash or &&."""
    joined = re.sub(r"\s*\\\n\s*|(?<=&&)\n\s*", " ", text)
    return [set(re.findall(r"--[a-z-]+", line)) for line in joined.splitlines() if re.search(command, line)]


@pytest.mark.parametrize("name", ["slurm", "ssh"])
def test_ray_has_the_options_that_its_commands_get(name: str) -> None:
    import_ray(Cluster())  # first of all, since Ray reads settings when it is imported
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    given = options_of(cluster_file(name), r"\bray start |^common=")
    assert len(given) >= 2
    assert set().union(*given) - {"--nodelist", "--exclude"} <= known  # srun's, in the same lines


def test_the_machines_reached_by_ssh_fit_rays_schema() -> None:
    import_ray(Cluster())
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    given = yaml.safe_load(cluster_file("ssh"))
    config = prepare_config(given)
    validate_config(config)
    (machines,) = config["available_node_types"].values()
    assert machines["min_workers"] == len(given["provider"]["worker_ips"]) == 2
    assert config["head_start_ray_commands"] == given["head_start_ray_commands"]
    with pytest.raises(ValidationError):
        validate_config(config | {"head_start_commands": []})


def test_every_machine_reached_by_ssh_asks_for_the_token() -> None:
    given = yaml.safe_load(cluster_file("ssh"))
    starts = [
        command for kind in ("head", "worker") for command in given[f"{kind}_start_ray_commands"] if "start" in command
    ]
    assert len(starts) == 2
    assert all("export RAY_AUTH_MODE=token &&" in command for command in starts)
    assert given["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}


def manifest(kind: str) -> Any:
    (found,) = [each for each in yaml.safe_load_all(cluster_file("kuberay")) if each["kind"] == kind]
    return found


def groups() -> dict[str, Any]:
    """Return the head's and the workers' parts of the manifest."""
    cluster = manifest("RayJob")["spec"]["rayClusterSpec"]
    return {"head": cluster["headGroupSpec"], **{each["groupName"]: each for each in cluster["workerGroupSpecs"]}}


def container(group: Any) -> Any:
    (only,) = group["template"]["spec"]["containers"]
    return only


def test_kubernetes_gets_the_pinned_ray() -> None:
    assert manifest("RayJob")["spec"]["rayClusterSpec"]["rayVersion"] == RAY
    images = {container(group)["image"] for group in groups().values()}
    assert len(images) == 1
    assert re.search(rf":ray-{RAY}-py311$", images.pop())
    for text in (cluster_file("kuberay"), PAGE):
        assert re.findall(r"rayproject/ray:(\S+?)-py311", text) == [RAY]


@pytest.mark.parametrize("name", ["head", "workers"])
def test_kubernetes_and_ray_count_the_same_resources(name: str) -> None:
    group = groups()[name]
    resources = container(group)["resources"]
    assert resources["requests"] == resources["limits"]
    counted = group["rayStartParams"]["num-cpus"]
    assert counted == ("0" if name == "head" else resources["limits"]["cpu"])
    assert group["rayStartParams"].get("num-gpus") == resources["limits"].get("nvidia.com/gpu")


def test_the_pods_share_the_volume_of_the_experiments() -> None:
    claim = manifest("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in groups().values():
        (volume,) = group["template"]["spec"]["volumes"]
        (mount,) = container(group)["volumeMounts"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert mount == {"name": volume["name"], "mountPath": "/experiments"}


def test_the_job_runs_a_command_that_there_is() -> None:
    words = shlex.split(manifest("RayJob")["spec"]["entrypoint"])
    assert words[0] == "hpsearch"
    given = COMMANDS[words[1]].make_context(words[1], words[2:]).params
    assert (given["engine"], given["address"]) == ("ray", "auto")
    assert {str(given["space"].parent), str(given["root"])} == {"/experiments"}


def test_the_job_script_parses() -> None:
    subprocess.run(["/bin/bash", "-n"], input=cluster_file("slurm"), text=True, check=True)


def test_the_job_script_wants_to_be_submitted(slurm: Slurm) -> None:
    ended = slurm.run("space.yaml", without=["SLURM_JOB_ID"])
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "sbatch slurm.sh SPACE" in ended.stderr


def test_the_job_wants_its_environment(slurm: Slurm) -> None:
    ended = slurm.run("space.yaml", PATH=f"{slurm.programs}:/usr/bin:/bin")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "slurm.sh: no hpsearch here: is its environment active?\n"


@pytest.mark.slow
def test_a_job_of_two_nodes(slurm: Slurm) -> None:
    """Real Ray on two nodes, which are both this machine; the search is `hpsearch cluster`, which shows them."""
    slurm.stand_in(
        "hpsearch", 'echo "given: $*"; env | grep RAY_AUTH; exec python -m hpsearch cluster --address "${@: -1}"'
    )
    ended = slurm.run("spaces/mine.yaml", "--name", "a b")
    assert ended.returncode == 0, ended.stderr + slurm.ray_log
    assert re.search(r"given: run spaces/mine\.yaml --name a b --engine ray --address [\d.]+:\d+\n", ended.stdout)
    assert re.search(r"RAY_AUTH_TOKEN=[0-9a-f]{64}\n", ended.stdout)
    assert "RAY_AUTH_MODE=token\n" in ended.stdout
    assert len(re.findall(r"^[\d.]+ +1 +0 +1$", ended.stdout, flags=re.MULTILINE)) == 2
    assert "2 fit at once" in ended.stdout
    assert "have joined" not in ended.stderr
    assert slurm.living() == []
    assert not slurm.ray_folder.exists()
    starts = [words for words in slurm.calls if "start" in words]
    places = {"--head" in words: [word for word in words if word.endswith("=first")] for words in starts}
    assert places == {True: ["--nodelist=first"], False: ["--exclude=first"]}


def test_near_its_limit_a_job_is_interrupted_and_queued_again(slurm: Slurm) -> None:
    slurm.stand_in("ray", "exec sleep 300")
    slurm.stand_in("hpsearch", f"exec python -c {shlex.quote(INTERRUPTIBLE)}")
    with slurm.started("space.yaml", HPSEARCH_JOIN_SECONDS="0") as job:
        job.wait_for("searching")
        job.send_near_limit()
        ended = job.ended()
    assert ended.returncode == 130
    assert ended.stdout == "searching\nsaved\n"
    assert "not all of the 2 nodes have joined" in ended.stderr
    assert slurm.calls[-1] == ["scontrol", "requeue", slurm.job]
    assert slurm.living() == []


@pytest.mark.parametrize("status", [0, 2])
def test_a_job_whose_search_ends_on_its_own_stays_so(slurm: Slurm, status: int) -> None:
    slurm.stand_in("ray", "exec sleep 300")
    slurm.stand_in("hpsearch", f"exit {status}")
    assert slurm.run("space.yaml", HPSEARCH_JOIN_SECONDS="0").returncode == status
    assert [words for words in slurm.calls if words[0] == "scontrol"] == []
    assert slurm.living() == []


def test_a_job_without_a_head_says_so(slurm: Slurm) -> None:
    slurm.stand_in("ray", 'echo "no memory here" >&2; exit 1')
    slurm.stand_in("hpsearch", "echo searching")
    ended = slurm.run("space.yaml")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "slurm.sh: Ray did not start on first; see hpsearch-" in ended.stderr
    assert "no memory here" in slurm.ray_log
    assert slurm.living() == []


def test_a_cancelled_job_ends_what_it_began(slurm: Slurm) -> None:
    slurm.stand_in("ray", "exec sleep 300")
    slurm.stand_in("hpsearch", "echo searching; exec sleep 300")
    with slurm.started("space.yaml", HPSEARCH_JOIN_SECONDS="0") as job:
        job.wait_for("searching")
        job.cancel()
        assert job.ended().returncode == 143
    assert slurm.living() == []
