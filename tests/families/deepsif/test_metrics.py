import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hpsearch.families.deepsif.task import SourceScores, area_under_curve, otsu_level, select_regions


def line_of_regions(count=10, *, apart=10.0):
    place = apart * torch.arange(count, dtype=torch.float)
    return SourceScores((place[:, None] - place[None]).abs(), rate=500.0)


def clip(*, regions=10, samples=50, **active):
    """A clip in which region rN is at the given level throughout."""
    values = torch.zeros(1, samples, regions)
    for name, level in active.items():
        values[0, :, int(name[1:])] = level
    return values


def scores(estimate, truth, **changes):
    return {name: float(value) for name, value in line_of_regions(**changes).score(estimate, truth).items()}


def variance_within(values, split):
    """Otsu's criterion from its definition: the weighted variance inside the two classes."""
    lower, upper = values[values <= split], values[values > split]
    return len(lower) * lower.var() + len(upper) * upper.var() if len(lower) and len(upper) else np.inf


@pytest.mark.parametrize("seed", range(20))
def test_otsu_finds_the_split_of_least_variance_within_the_classes(seed):
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.normal(20, 8, 300), generator.normal(generator.uniform(30, 90), 5, 60)])
    levels = values.clip(0, 99).astype(int)
    counts = torch.from_numpy(np.bincount(levels, minlength=100))[None]
    found = int(otsu_level(counts))
    best = min(range(99), key=lambda split: variance_within(levels.astype(float), split))
    assert variance_within(levels, found) == pytest.approx(variance_within(levels, best), rel=1e-9)
    assert abs(found - best) <= 1 or not np.any((levels > min(found, best)) & (levels <= max(found, best)))


def test_otsu_of_two_values_lies_between_them():
    counts = torch.zeros(2, 100, dtype=torch.long)
    counts[0, [10, 80]] = torch.tensor([500, 3])
    counts[1, [0, 99]] = torch.tensor([1, 1])
    below = otsu_level(counts)
    assert 10 <= below[0] < 80
    assert 0 <= below[1] < 99


def test_a_region_counts_when_it_is_above_for_long_enough():
    estimate = torch.zeros(1, 50, 4)
    estimate[0, :7, 0], estimate[0, :8, 1], estimate[0, ::6, 2], estimate[0, :, 3] = 1, -1, 1, 0.05
    assert select_regions(estimate, longer_than=7).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(("rate", "least"), [(500.0, 8), (125.0, 2), (50.0, 1)])
def test_long_enough_is_a_matter_of_time_not_of_samples(rate, least):
    table = SourceScores(torch.tensor([[0.0, 10], [10, 0]]), rate=rate)
    truth = torch.zeros(1, 40, 2)
    truth[0, :, 0] = 1
    for samples, found in ((least, 1.0), (least - 1, 0.0)):
        estimate = torch.zeros(1, 40, 2)
        estimate[0, :samples, 0] = 1
        assert float(table.score(estimate, truth)["recall"]) == found


def test_each_example_has_its_own_threshold():
    strong, weak = clip(r2=100.0, r5=1.0), clip(r5=0.01)
    both = select_regions(torch.cat([strong, weak]), longer_than=7)
    assert both.nonzero().tolist() == [[0, 2], [1, 5]]


@pytest.mark.parametrize("seed", range(10))
def test_the_area_under_the_curve_is_that_of_sklearn(seed):
    generator = np.random.default_rng(seed)
    score = torch.from_numpy(generator.integers(0, 12, (5, 40))).float()  # many ties
    true = torch.from_numpy(generator.random((5, 40)) < 0.2)
    true[:, 0], true[:, 1] = True, False
    expected = [roc_auc_score(*pair) for pair in zip(true.numpy(), score.numpy(), strict=True)]
    np.testing.assert_allclose(area_under_curve(score, true).numpy(), expected, atol=1e-6)


def test_without_two_classes_the_area_is_one_half():
    score = torch.rand(2, 6)
    assert area_under_curve(score, torch.tensor([[True] * 6, [False] * 6])).tolist() == [0.5, 0.5]


def test_the_truth_itself_is_perfect():
    truth = clip(r3=1.0, r4=0.7)
    assert scores(truth, truth) == {
        "precision": 1,
        "recall": 1,
        "dice": 1,
        "localisation_error": 0,
        "spatial_dispersion": 0,
        "auc": 1,
        "empty": 0,
    }


def test_scores_of_a_worked_example():
    """True: 3, 4. Found: 4, 5, 7, which lie 0, 10 and 30 mm from the nearest true region."""
    found = scores(clip(r4=1.0, r5=1.0, r7=1.0), clip(r3=1.0, r4=1.0))
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == pytest.approx(1 / 2)
    assert found["dice"] == pytest.approx(2 / 5)
    assert found["localisation_error"] == pytest.approx(40 / 3)
    assert found["spatial_dispersion"] == pytest.approx((1000 / 3) ** 0.5)


def test_dispersion_of_a_line_has_its_closed_form():
    """Equal energy in all of n regions, d apart, the first being true: d^2 (n - 1)(2n - 1) / 6 on average."""
    found = scores(torch.ones(1, 20, 30), clip(regions=30, samples=20, r0=1.0), count=30, apart=4.0)
    assert found["spatial_dispersion"] == pytest.approx((16.0 * 29 * 59 / 6) ** 0.5, rel=1e-5)


def test_dispersion_weighs_by_energy():
    found = scores(clip(r0=1.0, r1=0.5), clip(r0=1.0))
    assert found["spatial_dispersion"] == pytest.approx((100 * 0.25 / 1.25) ** 0.5)


@pytest.mark.parametrize("silent", [torch.zeros(1, 50, 10), torch.full((1, 50, 10), 0.3)])
def test_a_reconstruction_without_regions_gets_the_worst_of_everything(silent):
    found = scores(silent, clip(r2=1.0))
    assert found["empty"] == 1
    assert found["precision"] == found["recall"] == found["dice"] == 0
    assert found["auc"] == 0.5
    assert found["localisation_error"] == 70  # region 9 is 70 mm from region 2
    assert found["localisation_error"] >= scores(clip(r9=1.0), clip(r2=1.0))["localisation_error"]


def test_silence_has_the_worst_dispersion():
    assert scores(torch.zeros(1, 50, 10), clip(r2=1.0))["spatial_dispersion"] == 70


def test_scores_do_not_depend_on_scale_or_sign():
    torch.manual_seed(0)
    estimate, truth = torch.randn(1, 50, 10), clip(r2=1.0, r3=1.0)
    first, second = scores(estimate, truth), scores(-37.0 * estimate, truth)
    assert first == pytest.approx(second, rel=1e-5)


def test_examples_are_scored_one_by_one():
    torch.manual_seed(0)
    estimate = torch.randn(4, 50, 10) * torch.rand(4, 1, 10)
    truth = torch.cat([clip(r1=1.0), clip(r8=1.0, r9=1.0), clip(r4=0.2), clip(r0=1.0)])
    together = line_of_regions().score(estimate, truth)
    for index in range(4):
        alone = line_of_regions().score(estimate[[index]], truth[[index]])
        for name, values in together.items():
            assert float(values[index]) == pytest.approx(float(alone[name])), name


def test_an_example_without_sources_is_refused():
    with pytest.raises(ValueError, match="no true source"):
        scores(clip(r1=1.0), torch.zeros(1, 50, 10))
