import pytest
from matplotlib.image import AxesImage

from hpsearch.records import HeatMap
from hpsearch.report.charts.training import draw_heat_map, heat_map_png

HEADS = HeatMap("bias", {f"head {head}": ((0.5, -2.0, head), (1.0, 0.0, 0.25)) for head in range(5)}, x="column")


def test_every_panel_shows_its_matrix_under_one_scale_around_zero() -> None:
    *panels, _ = draw_heat_map(HEADS).axes
    assert [axes.get_title() for axes in panels] == list(HEADS.panels)
    for axes, matrix in zip(panels, HEADS.panels.values(), strict=True):
        (image,) = axes.images
        assert isinstance(image, AxesImage)
        assert image.get_array().tolist() == [list(row) for row in matrix]
        assert (image.norm.vmin, image.norm.vmax) == (-4.0, 4.0)


def test_numbers_of_one_sign_span_the_scale() -> None:
    (axes, _) = draw_heat_map(HeatMap("one", {"": ((2.0, 3.0),)})).axes
    assert (axes.images[0].norm.vmin, axes.images[0].norm.vmax) == (2.0, 3.0)


def test_a_table_has_its_numbers_written_into_it() -> None:
    table = HeatMap("table", {"": ((0.125, -1.0), (3.0, 0.0))}, columns=("mean", "sd"), rows=("$x$", "block 1"))
    (axes, _) = draw_heat_map(table).axes
    assert [text.get_text() for text in axes.texts] == ["0.125", "-1", "3", "0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [r"\$x\$", "block 1"]


@pytest.mark.parametrize("matrix", [((0.0,),), ((float("nan"), float("inf")),), tuple((1.0,) * 50 for _ in range(50))])
def test_whatever_the_numbers_a_picture_comes_out(matrix: tuple[tuple[float, ...], ...]) -> None:
    assert heat_map_png(HeatMap("x", {"": matrix})).startswith(b"\x89PNG")
