import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or takes to be drawn, says much about the machine's load.
settings.register_profile("hpsearch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hpsearch")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A folder that all processes of one test run share, with pytest-xdist or without."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def own_cache(run_folder):
    """The tests neither read nor fill the user's cache; what one of their processes has simulated serves them all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPSEARCH_CACHE", str(run_folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def trusted(run_folder):
    """What the tests write is the code of their own project, wherever their temporary folders are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPSEARCH_TRUST", os.pathsep.join([str(run_folder), str(Path(__file__).parents[1])]))
        patch.setenv("XDG_CONFIG_HOME", str(run_folder / "config"))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks as small as these are slower on several threads, above all when tests run side by side."""
    import torch  # not at the top: the process that hands out the tests needs none

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def empty_database(run_folder):
    """MLflow's store with its tables. Making them takes seconds: the first process makes them, the others wait."""
    from hpsearch.tracking.mlflow.store import DATABASE, default_uri, guarded, open_store

    root = run_folder / "mlflow"
    root.mkdir(exist_ok=True)
    with guarded(default_uri(root)):
        open_store(default_uri(root), root / "template").close()
    return root / DATABASE


@pytest.fixture
def terminal(tmp_path):
    """A terminal of its own in which the test starts `hpsearch`."""
    from tests.running.sessions import open_terminal

    with open_terminal(tmp_path) as opened:
        yield opened


@pytest.fixture
def disk(terminal):
    """A file system of its own, in the place of the terminal's experiments."""
    from tests.running.disk import mounted

    with mounted(terminal.folder / "experiments") as made:
        yield made


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A search that nothing has interrupted."""
    from tests.running.unbroken import search_unbroken

    return search_unbroken(tmp_path_factory.mktemp("whole"))
