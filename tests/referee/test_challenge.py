"""A challenge is decided by the ledger's values alone, whatever happens on the way to them."""

import json
import os
import shutil
from pathlib import Path

import pytest

import hpsearch
from hpsearch.api.champion import _candidate, _watch
from hpsearch.comparing.statistics.sequential import judge
from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.layout import LEDGER
from hpsearch.records import Outcome
from hpsearch.referee.answer import answer_of
from hpsearch.referee.challenge import Request
from hpsearch.referee.challenge import challenge as let_challenge
from hpsearch.referee.ledger import Trained, append, read_title
from hpsearch.referee.rules import judged, plan_of, planned
from hpsearch.referee.snapshot import remove_tree, tree_of
from hpsearch.referee.trainings import experiment_of, seeds_of
from tests.referee.campaigns import CODE, SPACE, challenge, change_code, copy, open_title, without_clock, write_project
from tests.referee.test_snapshot import everything, git

TITLE = Path("experiments/champion-space")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


def test_a_better_one_wins_and_a_worse_one_loses(project: Path) -> None:
    opened = open_title()
    assert opened.history.champion.quoted.seeds == 3
    better = challenge(set={"rate": 0.8}, note="a larger rate")
    assert (better.decision, better.champion.contender, better.note) == ("accepted", 1, "a larger rate")
    assert better.estimate == pytest.approx(0.3)
    worse = challenge(set={"rate": 0.2})
    assert (worse.decision, worse.champion.contender) == ("rejected", 1)
    assert worse.seeds_used < 6
    history = hpsearch.champion().history
    assert [reign.contender for reign in history.reigns] == [0, 1]
    assert [told.decision for told in history.challenges] == ["accepted", "rejected"]
    assert history.champion.overrides == ("rate=0.8",)


def test_the_code_of_the_working_tree_challenges_with_the_values_of_the_champion(project: Path) -> None:
    open_title()
    challenge(set={"rate": 0.8})
    change_code(project, 0.4)
    answer = challenge(note="a bonus")
    assert answer.decision == "accepted"
    assert answer.champion.overrides == ("rate=0.8",)
    assert answer.estimate == pytest.approx(0.4)


def test_a_new_champion_is_quoted_from_seeds_that_it_was_not_chosen_by(project: Path) -> None:
    open_title()
    answer = challenge(set={"rate": 0.8})
    title, _ = read_title(TITLE)
    fresh = title.values(1, 1, range(3))
    assert answer.champion.quoted.mean == pytest.approx(sum(fresh) / 3)
    assert not {*fresh} & {pair.challenger for pair in answer.pairs}
    given = {seeds_of(3, reign, seed).initialisation for reign in range(20) for seed in range(50)}
    assert len(given) == 20 * 50


def test_the_champion_is_trained_once_on_each_seed(project: Path) -> None:
    open_title()
    for rate in (0.2, 0.3, 0.505):
        challenge(set={"rate": rate})
    lines = (experiment_of(TITLE, 0) / "log.jsonl").read_text().splitlines()
    asked = [each["number"] for each in map(json.loads, lines) if each["event"] == "ask"]
    assert asked == [*range(len(asked))]


@pytest.mark.parametrize(("trouble", "outcome"), [("nan", "diverged"), ("memory", "out_of_memory"), ("fail", "failed")])
def test_a_training_without_a_result_is_rejected_with_its_reason(project: Path, trouble: str, outcome: str) -> None:
    open_title()
    answer = challenge(set={"trouble": trouble})
    assert (answer.decision, answer.outcome) == ("rejected", outcome)
    assert "seed 0" in answer.reason
    again = challenge(set={"trouble": trouble})
    assert again.from_ledger == (trouble != "fail")  # what a program lacked may be there now


def test_the_same_challenge_is_answered_from_the_ledger(project: Path) -> None:
    open_title()
    first = challenge(set={"rate": 0.2})
    size = (TITLE / LEDGER).stat().st_size
    second = challenge(set={"rate": 0.2}, note="once more")
    assert second.from_ledger
    assert without_clock(second) == {**without_clock(first), "from_ledger": True}
    assert (TITLE / LEDGER).stat().st_size == size


def test_the_champion_cannot_challenge_itself(project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match="nothing differs from the champion"):
        challenge()
    challenge(set={"rate": 0.8})
    assert challenge(set={"rate": 0.8}).decision == "accepted"
    challenge(set={"rate": 1.1})
    beaten = challenge(set={"rate": 0.8})
    assert beaten.decision == "rejected"
    assert beaten.reason == "It won the title in challenge 1 and lost it in challenge 2."


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.52, 0.8])
def test_every_moment_of_a_kill_leads_to_the_same_decision(
    project: Path, monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    """The ledger is cut at every line and within it; the experiments are there, or have to be trained again."""
    open_title()
    begun = (TITLE / LEDGER).read_bytes()
    unbroken = without_clock(challenge(set={"rate": rate}, note="small"))
    whole = (TITLE / LEDGER).read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10 and at + 1 >= len(begun)]
    cuts = [cut for end in ends for cut in (end, end + 40) if cut <= len(whole)]  # whole lines, and half of one
    assert len(cuts) > 8
    for number, cut in enumerate(cuts):
        place = copy(project, project.parent / f"copy-{number}")
        monkeypatch.chdir(place)
        (TITLE / LEDGER).write_bytes(whole[:cut])
        if number % 2:
            shutil.rmtree(experiment_of(TITLE, 1), ignore_errors=True)
        assert without_clock(challenge(set={"rate": rate}, note="small")) | {"from_ledger": False} == unbroken, cut


def test_a_challenge_that_was_interrupted_gives_way_to_another(project: Path) -> None:
    open_title()
    before = (TITLE / LEDGER).read_bytes()
    challenge(set={"rate": 0.2})
    lines = (TITLE / LEDGER).read_bytes()[len(before) :].splitlines(keepends=True)
    (TITLE / LEDGER).write_bytes(before + b"".join(lines[:2]))  # entered, and begun
    said: list[str] = []
    answer = challenge(set={"rate": 0.9}, tell=said.append)
    assert answer.challenge == 2
    assert [line[:8] for line in said if line.startswith("seed")] == [
        f"seed {k}: " for k in range(answer.seeds_used - 1)
    ]
    assert said[0] == "challenge 1 was interrupted, and is given up for this one"
    assert [each.decision for each in hpsearch.champion().history.challenges] == ["abandoned", "accepted"]
    assert not challenge(set={"rate": 0.2}).from_ledger


def test_an_interrupted_challenge_goes_on_whatever_the_code_is_now(project: Path) -> None:
    open_title()
    before = (TITLE / LEDGER).read_bytes()
    first = challenge(set={"rate": 0.2})
    lines = (TITLE / LEDGER).read_bytes()[len(before) :].splitlines(keepends=True)
    (TITLE / LEDGER).write_bytes(before + b"".join(lines[:2]))
    change_code(project, 9.0)
    assert without_clock(challenge(resume=True)) == without_clock(first)
    with pytest.raises(HpsearchError, match="no challenge of space is open"):
        challenge(resume=True)


def test_a_damaged_ledger_is_named_by_its_line(project: Path) -> None:
    open_title()
    content = (TITLE / LEDGER).read_bytes().splitlines(keepends=True)
    content[1] = content[1].replace(b"snapshot", b"snapshop", 1)
    (TITLE / LEDGER).write_bytes(b"".join(content))
    with pytest.raises(HpsearchError, match=r"ledger\.jsonl:2: the line is damaged"):
        hpsearch.champion()


def test_what_a_space_leaves_open_is_named(project: Path) -> None:
    (project / "space.yaml").write_text(SPACE.replace("rate: 0.5", "rate: {float: [0, 1]}"))
    with pytest.raises(HpsearchError, match=r"space\.yaml: a champion is one .* ranges: rate; .*`--set rate=V"):
        open_title()


def test_a_protected_file_may_not_change(project: Path) -> None:
    (project / "score.py").write_text("x = 1\n")
    open_title(protect=["score.py"])
    assert challenge(set={"rate": 0.2}).decision == "rejected"
    (project / "score.py").write_text("x = 2\n")
    with pytest.raises(HpsearchError, match=r"score\.py has changed since the title was opened"):
        challenge(set={"rate": 0.9})


def test_another_objective_is_another_title(project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match=r"objective\.metric is val/other"):
        challenge(set={"objective.metric": "val/other"})


def test_titles_are_found_by_name(project: Path) -> None:
    with pytest.raises(HpsearchError, match="there is no champion in"):
        hpsearch.champion()
    open_title()
    open_title(name="second")
    with pytest.raises(
        HpsearchError, match="several titles are in experiments: name one with title=; known: second, space"
    ):
        hpsearch.champion()
    with pytest.raises(HpsearchError, match="there is no title 'secnd' in experiments, did you mean 'second'"):
        hpsearch.champion("secnd")
    assert hpsearch.champion("second").history.title == "second"


def test_a_plan_trains_nothing(project: Path) -> None:
    open_title()
    size = (TITLE / LEDGER).stat().st_size
    plan = hpsearch.plan_challenge(set={"rate": 0.8}, worth=0.05)
    assert (plan.trainings, plan.trainings_of_the_champion, plan.known) == (6, 3, None)
    assert 0.05 in [each.effect for each in plan.power]
    assert (TITLE / LEDGER).stat().st_size == size
    answer = challenge(set={"rate": 0.8})
    known = hpsearch.plan_challenge(set={"rate": 0.8}).known
    assert known is not None
    assert known.challenge == answer.challenge


def test_a_plan_that_sees_more_asks_again(project: Path) -> None:
    """What was trained is kept, and the challenge is one more for the error budget."""
    open_title()
    first = challenge(set={"rate": 0.512}, worth=0.5)
    assert first.decision == "rejected"
    assert challenge(set={"rate": 0.512}).from_ledger
    more = challenge(set={"rate": 0.512}, most=9, worth=0.011)
    assert (more.challenge, more.contender, more.from_ledger) == (2, first.contender, False)
    assert more.pairs[: len(first.pairs)] == first.pairs
    assert more.seeds_used > first.seeds_used
    assert challenge(set={"rate": 0.512}, most=9, worth=0.011).from_ledger
    assert more.level < first.level


def test_an_impossible_plan_is_refused_before_anything_is_trained(project: Path) -> None:
    open_title(most=2)
    with pytest.raises(HpsearchError, match="2 seeds can never be the evidence of"):
        hpsearch.plan_challenge(set={"rate": 0.8})
    with pytest.raises(HpsearchError, match="an improvement worth finding is larger than the margin"):
        challenge(set={"rate": 0.8}, worth=0.01, most=6)
    assert hpsearch.champion().history.challenges == ()
    assert challenge(set={"rate": 0.8}, most=6).decision == "accepted"


def test_git_is_left_as_it_is_by_a_whole_challenge(project: Path) -> None:
    """`git status` would write the index where the time of a file has changed."""
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    os.utime(project / "train.py")
    before = everything(project / ".git")
    open_title()
    challenge(set={"rate": 0.2})
    assert everything(project / ".git") == before


def test_a_change_of_what_is_no_code_is_said(project: Path) -> None:
    git(project, "init", "-q")
    (project / ".gitignore").write_text("local.cfg\nexperiments/\n", encoding="utf-8")
    (project / "local.cfg").write_text("1\n", encoding="utf-8")
    (project / "weights.bin").write_bytes(bytes(5_000_001))
    open_title()
    assert challenge(set={"rate": 0.2}).warnings == ()
    (project / "local.cfg").write_text("2\n", encoding="utf-8")
    with pytest.raises(HpsearchError, match=r"are the same \(local\.cfg has changed, and is no part of the code\)"):
        challenge()
    said = ("This is no part of the code, and has changed since the champion came: local.cfg.",)
    assert challenge(set={"rate": 0.3}).warnings == said
    heard: list[str] = []
    assert challenge(set={"rate": 0.2}, tell=heard.append).from_ledger
    assert heard == ["local.cfg has changed since this was decided, and is no part of the code"]
    (project / "weights.bin").write_bytes(bytes(5_000_002))
    assert not challenge().from_ledger  # a large file is a part of it


def test_an_interrupted_challenge_goes_on_by_its_own_rules(project: Path) -> None:
    open_title()
    before = (TITLE / LEDGER).read_bytes()
    first = challenge(set={"rate": 0.2}, worth=0.05, note="less")
    lines = (TITLE / LEDGER).read_bytes()[len(before) :].splitlines(keepends=True)
    (TITLE / LEDGER).write_bytes(before + b"".join(lines[:2]))
    for other in ({"most": 9}, {"worth": 0.02}):
        (name,) = other
        said = rf"{name}=.*: challenge 1 was interrupted, and goes on by .*: at most 6 seeds, for .* of 0\.05; leave"
        with pytest.raises(HpsearchError, match=said):
            challenge(set={"rate": 0.2}, **other)
        with pytest.raises(HpsearchError, match=said):
            hpsearch.plan_challenge(set={"rate": 0.2}, **other)
    assert hpsearch.plan_challenge(set={"rate": 0.2}).worth == 0.05
    heard: list[str] = []
    again = challenge(set={"rate": 0.2}, note="other", tell=heard.append)
    assert heard[:2] == [
        "challenge 1 goes on: at most 6 seeds, for an improvement of 0.05",
        "it keeps the note that it began with: less",
    ]
    assert without_clock(again) == without_clock(first)


def test_who_waited_while_the_champion_changed_is_told_what_it_was_made_from(project: Path) -> None:
    open_title()
    waiting, over = _candidate(TITLE, project, None, ["trouble=''"])
    challenge(set={"rate": 0.8})
    request = Request(waiting, over=over)
    ended = let_challenge(TITLE, project, request, watch=_watch(in_process=True, quiet=True), tell=lambda _: None)
    (said,) = answer_of(ended).warnings
    assert said.startswith("Contender 1 won the title while this challenge waited: the challenger was made from conte")


@pytest.mark.parametrize("error", ["PeerLostError", "DataError"])
def test_a_lost_training_of_the_champion_is_no_fact_about_it(
    error: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process died, or its data were away: the title goes on as if that had never been."""
    away = project.parent / "away"
    begin = f"if rate == 0.5 and os.path.exists({str(away)!r}):\n        raise errors.{error}('the node is gone')\n"
    code = CODE.replace("import random", "import os\nimport random\n\nfrom hpsearch import errors")
    (project / "train.py").write_text(code.replace("    value =", f"    {begin}    value =", 1))
    away.touch()
    with pytest.raises(SearchFailedError, match=r"seed 0 was lost: .*the node is gone.* No title was opened"):
        open_title(seeds=2)
    away.unlink()
    open_title(seeds=2)
    unbroken = copy(project, project.parent / "unbroken")
    asked = {"set": {"rate": 0.512}, "worth": 0.0101}
    away.touch()
    for _ in range(4):
        with pytest.raises(SearchFailedError, match="training on seed 2 was lost"):
            challenge(**asked)
    away.unlink()
    found = challenge(**asked)
    assert found.seeds_used > 2
    monkeypatch.chdir(unbroken)
    assert without_clock(challenge(**asked)) == without_clock(found)


def test_the_next_challenge_does_not_depend_on_how_far_idle_workers_trained_ahead(project: Path) -> None:
    open_title(seeds=2)
    first = challenge(set={"rate": 0.509}, worth=0.0101)
    title, _ = read_title(TITLE)
    before = planned(title, 9)
    assert before.noise is not None
    assert before.noise.df == max(pair.seed for pair in first.pairs)
    for seed in range(first.seeds_used, first.seeds_used + 3):
        ahead = Trained(contender=0, reign=0, seed=seed, outcome=Outcome.COMPLETE, value=100.0 * seed)
        title.follow(append(TITLE / LEDGER, ahead))
    assert planned(title, 9) == before
    own, first = title.measured(title.reign), 0.05
    assert before.measured == len(own) == 2
    for theirs, ours in ((-first, own[0]), (first, own[0])):  # ahead of this seed, or behind it
        found = judged(title, before, [theirs], [ours])
        assert found == judge(plan_of(title.terms, before), [theirs], [ours], measured=own)
        assert found.decision == "reject"  # not ahead of what was measured


@pytest.mark.parametrize("size", ["1e160", "1e300"])
def test_a_score_that_is_too_large_to_be_computed_with_has_diverged(size: str, project: Path) -> None:
    open_title()
    (project / "train.py").write_text(CODE.replace("BONUS = 0.0", f"BONUS = {size}"), encoding="utf-8")
    answer = challenge()
    assert (answer.decision, answer.outcome, answer.seeds_used) == ("rejected", "diverged", 0)
    assert "too large" in answer.reason


def test_a_tree_that_was_removed_halfway_is_made_anew(project: Path) -> None:
    open_title()
    title, _ = read_title(TITLE)
    tree = tree_of(TITLE, title.champion.snapshot, project)
    remove_tree(TITLE, title.champion.snapshot)
    assert not tree.exists()
    (tree.parent / f".{tree.name}.1.tmp").mkdir()  # what a kill leaves
    assert (tree_of(TITLE, title.champion.snapshot, project) / "train.py").exists()
    assert not [*tree.parent.glob(".*.tmp")]


def test_a_contender_is_not_confirmed_behind_the_ledgers_back(project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match="`hpsearch champion confirm` opens the test split"):
        hpsearch.confirm(experiment_of(TITLE, 0), seeds=2)


def test_what_is_protected_may_be_ignored_or_large_and_is_looked_at_in_its_place(project: Path) -> None:
    git(project, "init", "-q")
    (project / ".gitignore").write_text("data/\n", encoding="utf-8")
    (project / "data").mkdir()
    (project / "data" / "test.csv").write_text("1\n", encoding="utf-8")
    open_title(protect=["data/test.csv"])
    assert challenge(set={"rate": 0.2}).decision == "rejected"
    (project / "data" / "test.csv").write_text("2\n", encoding="utf-8")
    with pytest.raises(HpsearchError, match=r"data/test.csv has changed since the title was opened"):
        challenge(set={"rate": 0.3})


def test_a_title_whose_opening_was_killed_says_so(project: Path) -> None:
    open_title()
    ledger = TITLE / LEDGER
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(HpsearchError, match="has no champion yet"):
        hpsearch.champion()


@pytest.mark.parametrize(
    "wrong",
    [{"margin": float("inf")}, {"margin": -1.0}, {"seeds": 1}, {"most": 1}, {"most": 2000}, {"rate": 2.0}],
    ids=str,
)
def test_numbers_out_of_range_are_a_sentence(wrong: dict[str, float], project: Path) -> None:
    with pytest.raises(HpsearchError, match=f"{next(iter(wrong))}="):
        open_title(**wrong)
    assert not TITLE.exists()


@pytest.mark.parametrize("worth", [float("nan"), float("inf"), 0.01])
def test_an_improvement_worth_finding_is_a_number_above_the_margin(worth: float, project: Path) -> None:
    open_title()
    with pytest.raises(HpsearchError, match="worth="):
        challenge(set={"rate": 0.6}, worth=worth)
