"""Equal data have equal fingerprints, and whatever differs shows."""

import hashlib
import struct
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from hpsearch.training.fingerprint import fingerprint, glance, is_steady
from hpsearch.training.task import Batch, TensorData

X = torch.tensor([[1.5, -2.0], [0.25, 3.0], [0.0, 7.0]])
Y = torch.tensor([3, 1, 2])


def data(x: Tensor = X, y: Tensor = Y) -> TensorData:
    return TensorData(y=y.clone(), x=x.clone())


def test_it_is_the_hash_of_what_it_says() -> None:
    said = b"2 examples\n"
    for pair, label in (((1.5, -2.0), 3), ((0.25, 3.0), 1)):
        said += b"'x' torch.float32 [1, 2]\n" + struct.pack("<2f", *pair)
        said += b"'y' torch.int64 [1]\n" + struct.pack("<q", label)
    assert fingerprint(data(X[:2], Y[:2])) == hashlib.sha256(said).hexdigest()


def test_equal_data_have_equal_fingerprints_however_they_lie_in_memory() -> None:
    assert fingerprint(data()) == fingerprint(data(X.T.contiguous().T))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X + torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1e-6]]), Y),
        (X, torch.tensor([3, 1, 1])),
        (X[[1, 0, 2]], Y[[1, 0, 2]]),
        (X[:2], Y[:2]),
        (X.double(), Y),
        (X, Y.int()),
        (X[:, :, None], Y),
        (-X * -1 * torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]), Y),  # 0.0 becomes -0.0
    ],
    ids=["number", "label", "order", "fewer", "precision", "type", "shape", "sign of zero"],
)
def test_whatever_differs_changes_it(x: Tensor, y: Tensor) -> None:
    assert fingerprint(data(x, y)) != fingerprint(data())


def test_a_tensor_of_another_name_changes_it() -> None:
    assert fingerprint(TensorData(z=X, y=Y)) != fingerprint(data())


def test_every_kind_of_number_has_bytes() -> None:
    for kind in (torch.bool, torch.uint8, torch.bfloat16, torch.float16, torch.complex64):
        assert len(fingerprint(TensorData(x=torch.ones(2, 3).to(kind), empty=torch.ones(2, 0).to(kind)))) == 64


class Rows:
    """Examples that are held as a tensor, an array within a part, and a list."""

    def __init__(self, count: int) -> None:
        self.x = torch.arange(count, dtype=torch.float32)
        self.more = {"labels": np.arange(count) % 7}
        self.texts = ["text"] * count
        self.seen = 0

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Sequence[int]) -> Batch:
        self.seen += len(indices)
        index = torch.as_tensor(indices)
        length = torch.tensor([len(self.texts[number]) for number in index.tolist()])
        return {"x": self.x[index], "labels": torch.from_numpy(self.more["labels"])[index], "length": length}


def test_a_glance_sees_all_that_is_in_memory_and_fetches_few() -> None:
    rows = Rows(5000)
    first = glance(rows)
    assert first == glance(Rows(5000)) != glance(Rows(4999))
    assert rows.seen < 1500
    for place, change in (("x", rows.x), ("labels", rows.more["labels"])):
        kept = change[3].item()
        change[3] = 9
        assert glance(rows) != first, place
        change[3] = kept
    assert glance(rows) == first
    rows.texts[0] = "another"
    assert glance(rows) != first


def test_a_glance_at_few_examples_is_at_all_of_them() -> None:
    rows = Rows(40)
    first = glance(rows)
    for number in range(40):
        rows.texts[number] = "other"
        assert glance(rows) != first
        rows.texts[number] = "text"


def test_examples_that_are_drawn_anew_are_not_steady() -> None:
    rows = Rows(9)
    assert is_steady(rows)
    rows.batch = lambda indices: {"x": torch.rand(len(indices))}  # type: ignore[method-assign]
    assert not is_steady(rows)
