"""Equal data have equal fingerprints, and whatever differs shows."""

import hashlib
import struct

import pytest
import torch
from torch import Tensor

from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.task import TensorData

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
