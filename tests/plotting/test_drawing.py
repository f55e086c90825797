"""What is drawn: the data, one metric an axis, nothing cut off, and the protocol at hand."""

from __future__ import annotations

import itertools
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from skcfq import plotting
from skcfq.plotting import (
    BitAllocationDisplay,
    BudgetCurveDisplay,
    CostRobustnessDisplay,
    CostShiftDisplay,
    GroupDisplay,
    MarginDisplay,
    MethodBarDisplay,
)

RUNS = pd.DataFrame(
    {
        "method": ["QAT"] * 4 + ["CFQ"] * 4,
        "budget": [2, 2, 4, 4] * 2,
        "validity_drop": [0.3, 0.4, 0.1, 0.2, 0.2, 0.1, 0.05, 0.05],
        "counterfactual_recourse_gap": np.linspace(0.1, 0.8, 8),
    }
)


def written(ax):
    """Return the texts that are seen: ticks outside of the limits are not."""
    unseen = set()
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        ticks = axis.get_major_ticks()
        unseen |= {t.label1 for t in ticks if not low - slack <= t.get_loc() <= high + slack}
    texts = ax.figure.findobj(Text)
    return [text for text in texts if text.get_visible() and text.get_text() and text not in unseen]


def test_nothing_is_cut_off_or_overlaps_and_the_protocol_is_written_on_demand(display):
    assert display.protocol.startswith("method=exact")
    for show in (False, True):
        display.plot(show_protocol=show)
        display.figure_.draw_without_rendering()
        whole, texts = display.figure_.bbox, written(display.ax_)
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        for text, box in boxes:
            outside = (box.x0 < -1, box.y0 < -1, box.x1 > whole.x1 + 1, box.y1 > whole.y1 + 1)
            assert not any(outside), (text, box)
        for (first, a), (second, b) in itertools.combinations(boxes, 2):
            width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(width, height) < 1, (first, second)
        shown = " ".join(text for text, _ in boxes).replace("\n", " ").replace(r"\$", "$")
        assert (f"Protocol: {display.protocol.strip()}" in shown) == show


@pytest.mark.parametrize("protocol", ["", "  ", None, 3])
def test_nothing_is_made_without_a_protocol(protocol):
    with pytest.raises(ValueError, match="protocol="):
        BudgetCurveDisplay.from_predictions(RUNS, "validity_drop", protocol=protocol)


def test_plot_returns_the_display_and_draws_where_it_is_told(display):
    _, axes = plt.subplots(1, 2)
    assert display.plot(axes[1]) is display
    assert display.ax_ is axes[1] and display.figure_ is axes[1].figure
    assert not axes[0].has_data()
    assert display.title in repr(display)


def test_a_list_of_axes_is_no_axis(displays):
    with pytest.raises(ValueError, match=r"ax=ndarray is no single axis"):
        displays["budget"].plot(plt.subplots(1, 2)[1])


@pytest.mark.parametrize("twin", [False, True])
def test_two_metrics_are_never_on_one_axis(twin):
    validity, cost = (
        BudgetCurveDisplay.from_predictions(RUNS, metric, protocol="p")
        for metric in ("validity_drop", "counterfactual_recourse_gap")
    )
    ax = validity.plot().ax_
    with pytest.raises(ValueError, match="give each an axis of its own"):
        cost.plot(ax.twinx() if twin else ax)
    _, axes = plt.subplots(1, 2, sharex=True)
    validity.plot(axes[0])
    cost.plot(axes[1])


def test_a_list_of_metrics_is_refused():
    with pytest.raises(ValueError, match="never drawn on one axis"):
        MethodBarDisplay.from_predictions(
            RUNS, ["validity_drop", "counterfactual_recourse_gap"], protocol="p"
        )


def test_curves_and_bands_are_the_figures():
    display = BudgetCurveDisplay.from_predictions(RUNS, "validity_drop", protocol="p").plot()
    qat, cfq = display.ax_.get_lines()
    assert qat.get_xydata().tolist() == [[2, pytest.approx(0.35)], [4, pytest.approx(0.15)]]
    assert cfq.get_ydata().tolist() == pytest.approx([0.15, 0.05])
    band = display.ax_.collections[0].get_paths()[0].get_extents()
    sd = np.std([0.3, 0.4], ddof=1)
    assert (band.y1, band.y0) == pytest.approx((0.35 + sd, 0.15 - sd))


def test_bars_are_the_figures():
    display = MethodBarDisplay.from_predictions(
        RUNS, "validity_drop", condition="budget", protocol="p"
    ).plot()
    widths = [bar.get_width() for bar in display.ax_.patches]
    assert widths == pytest.approx([0.35, 0.15, 0.15, 0.05])
    # From top to bottom: the bars of one condition stand below each other, inside its row.
    centers = [bar.get_y() + bar.get_height() / 2 for bar in display.ax_.patches]
    assert np.round(centers).tolist() == [0, 0, 1, 1] and centers == sorted(centers)
    assert display.ax_.yaxis_inverted()


def test_the_ring_is_at_the_worst_group_and_the_line_at_all_people():
    values, groups = [0, 0, 1, 0, 1, 1], ["a", "a", "a", "b", "b", "b"]
    display = GroupDisplay.from_predictions(values, groups, "validity_drop", protocol="p").plot()
    ring = [line for line in display.ax_.get_lines() if line.get_markersize() > 10]
    assert [line.get_xydata().tolist() for line in ring] == [[[pytest.approx(2 / 3), 1.0]]]
    overall = [
        line
        for line in display.ax_.get_lines()
        if len(line.get_xdata()) == 2 and list(line.get_ydata()) == [0, 1]
    ]
    assert [line.get_xdata()[0] for line in overall] == [0.5]


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_distributions_count_people(n):
    values = np.random.RandomState(n).normal(size=n)
    display = MarginDisplay.from_predictions({"m": values}, protocol="p").plot()
    (line,) = [line for line in display.ax_.get_lines() if len(line.get_xdata()) != 2 or n == 1][:1]
    x, y = line.get_data()
    assert (y[0], y[-1]) == (0, 1)
    assert y[1:] == pytest.approx([np.mean(values <= at) for at in x[1:]])


def test_marks_of_layers_are_at_the_widths_of_their_units():
    display = BitAllocationDisplay.from_predictions({"m": [[2, 4, 4, 4], [8]]}, protocol="p").plot()
    first, second = display.ax_.collections
    assert first.get_offsets().tolist() == [[1, 2], [1, 4]]
    assert first.get_sizes()[1] == pytest.approx(3 * first.get_sizes()[0])
    assert second.get_offsets().tolist() == [[2, 8]]
    lines = [line.get_ydata()[0] for line in display.ax_.get_lines()]
    assert lines == [3.5, 8]


def test_one_dot_a_person_and_lost_advice_in_another_shape():
    first, second = [1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 5.0, np.nan]
    display = CostShiftDisplay.from_predictions(
        first, second, [False, False, True, True], protocol="p"
    ).plot()
    holds, fails = display.ax_.collections
    assert holds.get_offsets().tolist() == [[1, 1], [2, 0]]
    assert fails.get_offsets().compressed().tolist()[:2] == [3, 5]
    assert display.ax_.get_xlim() == display.ax_.get_ylim()
    assert any("Without a dot: 1 people" in text.get_text() for text in written(display.ax_))
    assert "dearer for 1 and cheaper for 1; for 1 it has none" in display.description


def test_methods_differ_without_colors():
    runs = pd.concat([RUNS.assign(method=f"m{i}") for i in range(12)])
    runs = runs.drop_duplicates(["method", "budget"])
    display = BudgetCurveDisplay.from_predictions(runs, "validity_drop", protocol="p").plot()
    looks = [(line.get_marker(), line._dash_pattern) for line in display.ax_.get_lines()]
    assert len(set(map(str, looks))) == 12
    neighbors = itertools.pairwise(looks)
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in neighbors)


def test_settings_stay_as_they_are(display):
    before = dict(mpl.rcParams)
    display.plot()
    plotting.to_svg(display.figure_, title="t", description="d")
    assert dict(mpl.rcParams) == before


def test_what_a_display_holds_is_not_written_into():
    values = np.array([0.5, 0.1])
    display = MarginDisplay.from_predictions({"m": values}, protocol="p")
    values[:] = 9
    assert display.margins["m"].tolist() == [0.1, 0.5]
    with pytest.raises(ValueError, match="read-only"):
        display.margins["m"][0] = 1
    curve = BudgetCurveDisplay.from_predictions(RUNS, "validity_drop", protocol="p")
    table = curve.table
    table.loc[0, "value"] = 9
    assert curve.table["value"].max() < 1


def test_without_matplotlib_data_are_there_and_drawing_says_what_to_install():
    code = """
import sys
sys.modules["matplotlib"] = None
from skcfq.exceptions import OptionalDependencyError
from skcfq.plotting import MarginDisplay, to_svg
display = MarginDisplay.from_predictions({"m": [1.0, -1.0]}, protocol="p")
assert display.shares_refused == {"m": 0.5}
for draw in (display.plot, lambda: to_svg(None, title="t", description="d")):
    try:
        draw()
    except OptionalDependencyError as error:
        assert "pip install 'skcfq[report]'" in str(error)
    else:
        raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_labels_stand_beside_their_marks_or_in_a_legend():
    table = pd.DataFrame({"method": ["a", "b", "c"], "cost": [1.0, 2, 9], "value": [0.1, 0.5, 0.9]})

    def drawn(values):
        display = CostRobustnessDisplay.from_predictions(
            table.assign(value=values, cost=values * 10), cost="cost", metric="value", protocol="p"
        )
        return display.plot().ax_

    apart = drawn(table["value"])
    written_ = {text.get_text(): text.get_window_extent() for text in apart.texts}
    assert set(written_) == {"a", "b", "c"} and apart.get_legend() is None
    points = apart.transData.transform(np.c_[table["value"] * 10, table["value"]])
    for i, box in enumerate(written_.values()):
        center = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        assert np.argmin(np.linalg.norm(points - center, axis=1)) == i
    close = drawn(pd.Series([0.5, 0.5001, 0.9]))
    assert not close.texts
    assert [text.get_text() for text in close.get_legend().get_texts()] == ["a", "b", "c"]
