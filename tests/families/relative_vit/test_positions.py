"""Relative position bias against published index tables and against transformers' Swin and BEiT."""

import pytest
import torch

from hpsearch.families.relative_vit.network import RelativePositionBias, index_1d, index_2d
from hpsearch.families.relative_vit.settings import Relative

WINDOWS = [(2, 2), (2, 3), (3, 2), (7, 7), (14, 14), (1, 5)]


def test_the_index_of_a_square_window():
    assert index_2d(2, 2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_the_index_of_a_rectangular_window():
    index = index_2d(2, 3)
    assert index[0].tolist() == [7, 6, 5, 2, 1, 0]
    assert index[5].tolist() == [14, 13, 12, 9, 8, 7]


@pytest.mark.parametrize(("side", "rows"), [(7, 169), (14, 729)])
def test_the_tables_of_swin(side, rows):
    bias = RelativePositionBias(Relative(), heads=3, window=(side, side))
    assert bias.table.shape == (rows, 3)
    assert sorted(set(bias.index.flatten().tolist())) == list(range(rows))


def test_the_index_of_seven_by_seven_begins_as_swins():
    assert index_2d(7, 7)[0, :8].tolist() == [84, 83, 82, 81, 80, 79, 78, 71]


def test_the_index_of_a_sequence():
    assert index_1d(3).tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    assert RelativePositionBias(Relative(type="1d"), heads=2, window=(2, 3)).table.shape == (11, 2)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_bias_is_that_of_swin(window):
    from transformers.models.swin.modeling_swin import SwinRelativePositionBias

    ours, theirs = RelativePositionBias(Relative(), heads=3, window=window), SwinRelativePositionBias(3, window)
    theirs.load_state_dict({"relative_position_bias_table": ours.table.detach()})
    torch.testing.assert_close(ours()[None], theirs())


@pytest.mark.parametrize("window", WINDOWS)
def test_with_a_class_token_the_bias_is_that_of_beit(window):
    """Three rows more: from the class token, to it, and to itself."""
    from transformers import BeitConfig
    from transformers.models.beit.modeling_beit import BeitRelativePositionBias

    ours = RelativePositionBias(Relative(), heads=3, window=window, class_token=True)
    height, width = window
    theirs = BeitRelativePositionBias(
        BeitConfig(image_size=[2 * height, 2 * width], patch_size=2, hidden_size=6, num_attention_heads=3)
    )
    assert ours.table.shape == theirs.relative_position_bias_table.shape
    expected = ours.table[theirs.generate_relative_position_index(window)].permute(2, 0, 1)
    torch.testing.assert_close(ours(), expected)


def test_the_bias_depends_on_the_distance_only():
    height, width = 3, 4
    bias = RelativePositionBias(Relative(init_std=1.0), heads=2, window=(height, width))()
    places = [(y, x) for y in range(height) for x in range(width)]
    by_distance: dict[tuple[int, int], set[float]] = {}
    for i, (y, x) in enumerate(places):
        for j, (other_y, other_x) in enumerate(places):
            by_distance.setdefault((y - other_y, x - other_x), set()).add(bias[0, i, j].item())
    assert {len(values) for values in by_distance.values()} == {1}
    assert len(set.union(*by_distance.values())) == len(by_distance) == 35


def test_the_initial_numbers_have_the_deviation_that_was_asked_for():
    torch.manual_seed(0)
    table = RelativePositionBias(Relative(init_std=0.01), heads=12, window=(14, 14)).table
    assert table.std().item() == pytest.approx(0.01, rel=0.05)
    assert abs(table.mean().item()) < 5e-4


def test_a_table_that_is_not_learned_stays_as_it_was_drawn():
    bias = RelativePositionBias(Relative(learnable=False), heads=2, window=(2, 2))
    assert not bias.table.requires_grad
    assert bias.table.abs().sum() > 0


def test_the_index_is_no_part_of_a_checkpoint():
    assert list(RelativePositionBias(Relative(), heads=2, window=(2, 2)).state_dict()) == ["table"]


@pytest.mark.parametrize("class_token", [False, True])
def test_the_view_from_the_centre_has_no_distance_in_the_middle(class_token):
    bias = RelativePositionBias(Relative(init_std=1.0), heads=2, window=(3, 5), class_token=class_token)
    seen = bias.seen_from_the_centre()
    assert seen.shape == (2, 3, 5)
    table = bias.table[: 5 * 9].reshape(5, 9, 2)  # by dy + 2 and dx + 4
    torch.testing.assert_close(seen[:, 1, 2], table[2, 4])
    torch.testing.assert_close(seen[:, 0, 4], table[2 + 1, 4 - 2])  # it looks one up and two to the right
