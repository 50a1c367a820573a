"""How the page is opened: nobody else on the machine learns its address."""

import stat
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from typer.testing import CliRunner

from hpsearch.cli import app
from hpsearch.errors import HpsearchError
from hpsearch.web import serve
from hpsearch.web.shelf import Opening, Shelf
from tests.experiment_factory import GrowingExperiment


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("watch line --control", "--control is for the page of `hpsearch watch --web`"),
        ("watch line --once --port 8000", "--port is for the page"),
        ("watch line --web --once", "--once is a look in the terminal"),
        ("watch line --web --plot x.png", "--plot is a look in the terminal"),
        ("ui --mlflow --control", "--control is for hpsearch's own page"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    GrowingExperiment(tmp_path / "experiments" / "line").log.close()
    result = CliRunner().invoke(app, words.split())
    assert isinstance(result.exception, HpsearchError)
    assert said in str(result.exception)


def test_the_token_is_in_no_arguments_of_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of a process, which every account can read; a private file leads on."""
    opened, said = [], []

    def open_browser(address: str) -> bool:
        page = Path(url2pathname(urlsplit(address).path))
        opened.append((address, page, page.read_text(encoding="utf-8"), stat.S_IMODE(page.parent.stat().st_mode)))
        return True

    def run(*_: object, **__: object) -> None:
        assert opened[0][1].exists()

    monkeypatch.setattr(webbrowser, "open", open_browser)
    monkeypatch.setattr("uvicorn.Server.run", run)
    monkeypatch.setattr(serve, "_has_screen", lambda: True)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    serve.serve(Shelf(tmp_path), Opening(), announce=said.append)
    ((address, page, text, mode),) = opened
    token = said[0].split("/")[3]
    assert len(token) > 20
    assert token not in address
    assert address.startswith("file:")
    assert said[0] in text
    assert mode == 0o700
    assert not page.parent.exists()
