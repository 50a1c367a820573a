"""Files to start a cluster with, for the user to change: `hpsearch cluster --file NAME` prints them."""

from importlib.resources import files

from hpsearch.errors import UnknownNameError

NAMES = {"slurm": "slurm.sh", "ssh": "ssh-cluster.yaml", "kuberay": "kuberay.yaml"}


def cluster_file(name: str) -> str:
    """Return the text of a file. Errors: UnknownNameError."""
    if name not in NAMES:
        raise UnknownNameError("cluster file", name, NAMES)
    return (files("hpsearch.workers.ray_tune") / "files" / NAMES[name]).read_text(encoding="utf-8")
