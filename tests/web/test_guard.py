"""Who may ask: nobody without the token, from another name, or from another page."""

from pathlib import Path

import pytest

from hpsearch.web.app import Page
from hpsearch.web.shelf import Shelf
from tests.experiment_factory import GrowingExperiment
from tests.web.asking import HOST, TOKEN, ask

ADDRESSES = ["", "app.js", "plotly.js", "api/start", "api/experiment?of=line", "artifact"]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    GrowingExperiment(tmp_path / "line").log.close()
    return Page(Shelf(tmp_path), TOKEN)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "../the-token"])
@pytest.mark.parametrize("path", ADDRESSES)
def test_nothing_is_told_without_the_token(page: Page, path: str, token: str) -> None:
    answer = ask(page, path, token=token)
    assert answer.status == 403
    assert "token" in answer.body.decode()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:5055", "", "[::2]", "10.0.0.1"]
)
def test_a_name_that_is_not_this_machine_is_refused(page: Page, host: str) -> None:
    """As after DNS rebinding, where another page's own name leads to loopback."""
    assert ask(page, "api/start", headers={"host": host}).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "[::1]:5055", "LOCALHOST"])
def test_loopback_has_several_names_and_any_port(page: Page, host: str) -> None:
    """A forwarded port is another one than ours."""
    assert ask(page, "api/start", headers={"host": host}).status == 200


GOOD = {"x-hpsearch-token": TOKEN, "origin": f"http://{HOST}"}


@pytest.mark.parametrize("left_out", ["x-hpsearch-token", "origin"])
def test_what_changes_something_needs_more(page: Page, left_out: str) -> None:
    headers = {name: value for name, value in GOOD.items() if name != left_out}
    assert ask(page, "api/start", method="POST", headers=headers).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", f"http://{HOST}.evil"])
def test_another_page_cannot_change_anything(page: Page, origin: str) -> None:
    assert ask(page, "api/start", method="POST", headers={**GOOD, "origin": origin}).status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_without_control_there_is_nothing_to_change(page: Page, method: str) -> None:
    for path in ("api/orders", "api/start", "api/experiment", ""):
        assert ask(page, path, method=method, headers=GOOD, body={}, of="line").status in (404, 405)


@pytest.mark.parametrize("path", ["", "app.js", "api/start", "nowhere", "plotly.js"])
def test_every_answer_tells_the_browser_what_it_may_load(page: Page, path: str) -> None:
    headers = ask(page, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    for name in ("", *(path.name for path in (Path(__file__).parents[2] / "hpsearch" / "web" / "page").iterdir())):
        text = ask(page, name).body.decode()
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text


@pytest.mark.parametrize("name", ["../secret", "line/../../secret", "/etc", ".", "", "line/trials"])
def test_only_experiments_of_the_shelf_are_opened(page: Page, tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret").mkdir(exist_ok=True)
    for path in ("api/experiment", "api/curves", "api/examination", "api/training"):
        answer = ask(page, path, of=name, run="trials/0000")
        assert answer.status == 404
        assert "line" in answer.json["error"]
