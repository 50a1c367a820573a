"""The classes of new images are those that the network gives by hand; what does not fit is told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hpsearch.errors import DataError
from hpsearch.families.relative_vit.family import RelativeVit
from hpsearch.final.trained_model import TrainedModel


def model_of(channels: int) -> TrainedModel:
    family = RelativeVit()
    source = {"images": {"path": "photos", "size": [4, 6], "channels": channels}}
    model = {"width": 8, "layers": 1, "heads": 2}
    config = family.Config.model_validate(
        {"data": {"source": source}, "model": model, "train": {"device": "cpu", "batch_size": 2}}
    )
    torch.manual_seed(0)
    network = family.model(config, {"classes": ["cat", "dog", "owl"]}).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return TrainedModel(network, family, config, {"classes": ["cat", "dog", "owl"]}, {"family": "relative_vit"}, {})


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return model_of(3)


def photos(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Write three images of the model's size, and return their pixels (N, height, width, 3)."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    files = [folder / name for name in ("a.png", "b.png", "sub/c.png")]
    (folder / "sub").mkdir()
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image).save(file)
    return files, pixels


def test_probabilities_are_those_of_the_network_from_files_folders_and_arrays(
    model: TrainedModel, tmp_path: Path
) -> None:
    files, pixels = photos(tmp_path)
    with torch.no_grad():
        logits = model.model(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).double()
    expected = (logits.exp() / logits.exp().sum(1, keepdim=True)).numpy()
    assert len({tuple(row) for row in expected.round(3)}) == 3
    found = model.predict(tmp_path)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4)
    assert found.inputs == tuple(map(str, files))
    assert found.classes == ("cat", "dog", "owl")
    for inputs in (list(map(str, files)), list(pixels), list(pixels / 255), [files[0], pixels[1], files[2]]):
        np.testing.assert_allclose(model.predict(inputs).probabilities, found.probabilities, rtol=1e-5)


def test_images_of_another_size_and_kind_are_treated_as_in_training(model: TrainedModel, tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 60), 128, dtype=np.uint8)).save(tmp_path / "grey.png")
    same = model.predict(np.full((4, 6, 3), 128, dtype=np.uint8)).probabilities
    np.testing.assert_allclose(model.predict(tmp_path / "grey.png").probabilities, same, rtol=1e-5)


def test_what_does_not_fit_is_told(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"array 0 has the shape \(4, 6\).*4 x 6 pixels and 3 channels, so arrays \(4, 6, 3\)"
    ):
        model.predict(np.zeros((4, 6), dtype=np.uint8))
    with pytest.raises(DataError, match=r"1 channel, so arrays \(4, 6\)"):
        model_of(1).predict(np.zeros((4, 6, 3), dtype=np.uint8))
    assert len(model_of(1).predict(np.zeros((4, 6)))) == 1
    with pytest.raises(DataError, match="goes from 0 to 255; floats must be from 0 to 1"):
        model.predict(np.linspace(0, 255, 72).reshape(4, 6, 3))
    with pytest.raises(DataError, match="holds int64"):
        model.predict(np.zeros((4, 6, 3), dtype=np.int64))
    with pytest.raises(DataError, match="there is no image"):
        model.predict("gone.png")
    Image.fromarray(np.zeros((4, 6), dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep.png .*convert it to 8 bits"):
        model.predict(tmp_path / "deep.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"1 images cannot be read: .*torn.png"):
        model.predict(tmp_path / "torn.png")
