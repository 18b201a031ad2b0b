"""A confusion matrix is recognised however it was drawn."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import ConfusionMatrixDisplay

from autograder.evidence.pictures import read_picture
from autograder.rubrics.crosschecks import colours_follow
from tests.rubrics.test_crosschecks import draw

COUNTS = np.array([[190, 10, 0], [5, 170, 25], [0, 12, 188]])

OTHER = np.array([[200, 0, 0], [200, 0, 0], [0, 0, 200]])


@pytest.mark.parametrize("colours", ["viridis", "Blues", "Greys", "coolwarm", "jet", "magma_r"])
@pytest.mark.parametrize("shares", [None, "true", "pred"])
def test_a_matrix_is_recognised_in_any_colours_counted_or_shared(
    tmp_path: Path, colours: str, shares: str | None
) -> None:
    axes = {"true": 1, "pred": 0}
    matrix = COUNTS / COUNTS.sum(axis=axes[shares], keepdims=True) if shares else COUNTS
    picture = read_picture(draw(matrix, tmp_path / "matrix.png", cmap=colours))
    assert picture
    assert colours_follow(picture.grids[3], COUNTS)
    assert not colours_follow(picture.grids[3], OTHER)


def test_a_matrix_drawn_by_hand_upside_down_or_turned_is_recognised(tmp_path: Path) -> None:
    for number, drawing in enumerate((COUNTS.T, COUNTS[::-1], COUNTS[np.ix_([2, 0, 1], [2, 0, 1])])):
        figure, axes = plt.subplots(figsize=(4, 3))
        axes.pcolormesh(drawing, edgecolors="white", linewidth=2)
        figure.savefig(tmp_path / f"{number}.png", bbox_inches="tight")
        plt.close(figure)
        picture = read_picture(tmp_path / f"{number}.png")
        assert picture
        assert colours_follow(picture.grids[3], COUNTS)


@pytest.mark.parametrize("beside", ["bars", "shares"])
def test_a_matrix_with_another_plot_beside_it_is_recognised(tmp_path: Path, beside: str) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    ConfusionMatrixDisplay(COUNTS).plot(ax=left)
    if beside == "bars":
        right.barh(["a", "b", "c", "d"], [1, 2, 3, 4])
    else:
        ConfusionMatrixDisplay(COUNTS / COUNTS.sum(axis=1, keepdims=True)).plot(ax=right)
    figure.savefig(tmp_path / "both.png")
    plt.close(figure)
    picture = read_picture(tmp_path / "both.png")
    assert picture
    assert colours_follow(picture.grids[3], COUNTS)
    assert not colours_follow(picture.grids[3], OTHER)
