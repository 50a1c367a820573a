"""A damaged file costs training time and nothing else: what is gone on from is whole, one's own, and said."""

import shutil
import warnings
import zipfile
from random import Random

import pytest
import torch

from hpsearch.errors import HpsearchError
from hpsearch.experiment.checksums import flaw
from hpsearch.experiment.layout import BEST, CHECKPOINT, PREVIOUS, PREVIOUS_BEST
from hpsearch.records import Decision
from hpsearch.seeds import Seeds
from hpsearch.testing.families import assert_same_ending
from hpsearch.training import checkpoint
from hpsearch.training.generations import newest, take_up
from hpsearch.training.loop import fit
from hpsearch.training.settings import TrainSettings
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, line_splits, numbers

OWN = SEEDS.model_dump()
EPOCHS = 6


class KilledError(Exception):
    """Ends a training without a word."""


def train(folder, report=None, *, seeds=SEEDS, seconds=0.0, **arguments):
    settings = TrainSettings(epochs=EPOCHS, batch_size=8, checkpoint_seconds=seconds, learning_rate=0.05)
    arguments = {"monitor": MONITOR, "folder": folder, "device": "cpu", **arguments}
    return fit(NetTask(), line_splits(), settings, seeds=seeds, report=report or Recorder(), **arguments)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder)


@pytest.fixture
def killed(tmp_path):
    with pytest.raises(KilledError):
        train(tmp_path / "killed", Recorder({4: KilledError()}))
    return tmp_path / "killed"


def flipped(content):
    for bit in sorted(Random(0).sample(range(len(content) * 8), 60)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def damages(content):
    """Yield a file's bytes as disks and file systems spoil them."""
    yield b""
    yield bytes(len(content))
    yield content[: len(content) // 2]
    yield content[:-1]
    yield content[:-23]  # all of its checksum
    yield content + b"\0"
    yield content[:4096] + bytes(len(content[4096:]))
    yield b"nonsense"


def test_no_damage_is_loaded(tmp_path):
    path = tmp_path / CHECKPOINT
    checkpoint.save(path, {"model": torch.randn(400, 10)})
    content = path.read_bytes()
    assert checkpoint.load(path)["model"].shape == (400, 10)
    for spoilt in (*damages(content), *flipped(content)):
        path.write_bytes(spoilt)
        with pytest.raises(HpsearchError, match=r"checkpoint.pt is damaged"):
            checkpoint.load(path)


def test_every_last_bit_is_covered(tmp_path):
    path = tmp_path / BEST
    checkpoint.save(path, {})
    content = path.read_bytes()
    for bit in range(8 * (len(content) - 60), 8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        assert flaw(bytes(changed)), bit


def test_files_without_a_checksum_still_load_and_have_those_of_their_parts(tmp_path):
    path = tmp_path / CHECKPOINT
    torch.save({"version": 1, "model": torch.arange(1000.0)}, path)
    assert checkpoint.load(path)["model"][-1] == 999
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(HpsearchError, match=r"is damaged: the checksum of its part .*data/0 does not fit"):
        checkpoint.load(path)


def test_other_tools_read_the_files(tmp_path):
    checkpoint.save(tmp_path / BEST, {"model": torch.ones(3)})
    assert torch.load(tmp_path / BEST, weights_only=True)["model"].sum() == 3
    assert torch.load(tmp_path / BEST, weights_only=True, mmap=True)["model"].sum() == 3
    with zipfile.ZipFile(tmp_path / BEST) as archive:
        assert archive.testzip() is None


def goes_on(folder, whole, match):
    """Train on; the same ending as the unbroken training, and one warning that says it."""
    with pytest.warns(UserWarning, match=match):
        result = train(folder)
    assert numbers(result.evaluations) == numbers(whole[1].evaluations)
    assert_same_ending(whole[0], folder)


@pytest.mark.parametrize("damage", range(8))
def test_a_damaged_checkpoint_the_one_before_is_used(damage, killed, whole):
    path = killed / CHECKPOINT
    path.write_bytes([*damages(path.read_bytes())][damage])
    goes_on(
        killed, whole, r"checkpoint.pt is damaged: .*; the training goes on from the checkpoint before it, after st"
    )


@pytest.mark.parametrize("names", [(CHECKPOINT, PREVIOUS), (BEST, PREVIOUS_BEST), (CHECKPOINT, PREVIOUS_BEST, BEST)])
def test_with_both_damaged_it_begins_again(names, killed, whole):
    for name in names:
        (killed / name).write_bytes(b"PK")
    goes_on(killed, whole, "the training begins again at its beginning")


@pytest.mark.parametrize("gone", [False, True])
def test_without_its_best_weights_a_checkpoint_is_passed_over(gone, killed, whole):
    (killed / BEST).unlink() if gone else (killed / BEST).write_bytes(b"")
    goes_on(killed, whole, r"best.pt (is damaged: it is empty|with the weights of step 4 is gone)")


@pytest.mark.parametrize("name", [CHECKPOINT, BEST])
def test_another_trials_file_is_not_taken(name, killed, whole, tmp_path):
    train(tmp_path / "other", seeds=Seeds.for_trial(0, 1))
    shutil.copy(tmp_path / "other" / name, killed / name)
    goes_on(killed, whole, "is another trial's")


@pytest.mark.parametrize("written", [BEST, CHECKPOINT])
def test_a_crash_between_any_two_renames_is_no_damage(written, killed, whole):
    """The new file is not there yet, and the old one has its second name already."""
    (killed / written).replace(killed / (PREVIOUS if written == CHECKPOINT else PREVIOUS_BEST))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(killed)
    assert numbers(result.evaluations) == numbers(whole[1].evaluations)
    assert_same_ending(whole[0], killed)


def test_whoever_watches_hears_of_it(killed):
    (killed / CHECKPOINT).write_bytes(b"")
    heard = []

    def tell(moment):
        heard.append(moment.note)
        return Decision.CONTINUE

    train(killed, tell=tell)
    told = "is damaged: it is empty; the training goes on from the checkpoint before it, after step 3"
    assert [note for note in heard if note] == [f"{killed / CHECKPOINT} {told}"]


def test_looking_changes_no_file(killed):
    (killed / CHECKPOINT).write_bytes(b"")
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert newest(killed, OWN).step == 3
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before
    assert take_up(killed, OWN).step == newest(killed, OWN).step == 3
    assert newest(killed, OWN).note is None
