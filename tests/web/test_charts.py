"""What the charts draw: positions, gaps, ticks, and figures that stay honest at the edges."""

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trials.web import charts

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)
PERIODS = (
    charts.Span("period", 1, 14, "Period 1", "1"),
    charts.Span("period", 15, 28, "Period 2", "2"),
)


# ---- ticks and scales


def test_ticks_are_round_numbers_inside():
    assert charts.nice_ticks(0, 10) == ((0, 2, 4, 6, 8, 10), 0)
    assert charts.nice_ticks(-1.2, 1.3, 4) == ((-1, 0, 1), 0)
    assert charts.nice_ticks(0.0, 0.01, 5) == ((0, 0.002, 0.004, 0.006, 0.008, 0.01), 3)


@pytest.mark.parametrize(("low", "high"), [(3.0, 3.0), (5.0, 1.0), (0.0, math.inf)])
def test_an_interval_without_length_has_one_tick(low: float, high: float):
    assert charts.nice_ticks(low, high) == ((low,), 0)


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(1, 12))
def test_ticks_ascend_and_stay_inside(low: float, span: float, count: int):
    assume(span > abs(low) * 1e-9)  # below that the numbers themselves run out of digits
    high = low + span
    ticks, digits = charts.nice_ticks(low, high, count)
    room = max(1e-9, (high - low) * 1e-6, abs(low) * 1e-9)

    assert list(ticks) == sorted(set(ticks))
    assert all(low - room <= tick <= high + room for tick in ticks)
    assert len(ticks) <= 2 * count + 2
    assert digits >= 0


def test_a_value_outside_the_scale_stops_at_its_end():
    scale = charts.Scale(0, 10, 100, 0)

    assert (scale.at(-3), scale.at(5), scale.at(99)) == (100, 50, 0)


# ---- a daily series


def test_a_missing_day_breaks_the_line_and_is_marked():
    chart = charts.line_chart([4, 5, None, 6, float("nan"), 3])
    wide = chart.plots[0]

    assert (chart.observed, chart.missing) == (4, 2)
    assert len(wide.paths) == 1  # 4-5 is a line; 6 and 3 stand alone
    assert [dot.day for dot in wide.dots] == [1, 2, 4, 6]
    assert len(wide.missing) == 2
    assert [row.value for row in chart.rows] == [4, 5, None, 6, None, 3]


def test_days_to_come_are_not_missing():
    chart = charts.line_chart([4, 5], last_day=84)

    assert (chart.observed, chart.missing, chart.last_day) == (2, 0, 84)


def test_nothing_answered_has_no_figures():
    chart = charts.line_chart([])

    assert chart.mean is chart.lowest is chart.highest is None
    assert chart.rows == ()
    assert chart.plots[0].paths == ()


def test_one_day_is_a_dot_without_a_line():
    plot = charts.line_chart([7]).plots[0]

    assert (len(plot.dots), plot.paths) == (1, ())


def test_the_whole_pain_scale_is_shown_whatever_the_answers():
    plot = charts.line_chart([5, 5, 5]).plots[0]

    assert [tick.value for tick in plot.y_ticks] == [0, 2, 4, 6, 8, 10]
    assert len({dot.y for dot in plot.dots}) == 1


def test_values_outside_the_scale_widen_it():
    plot = charts.line_chart([-3, 14]).plots[0]
    low_dot, high_dot = plot.dots

    assert low_dot.y == plot.frame.bottom
    assert high_dot.y == plot.frame.top


def test_an_automatic_scale_serves_equal_and_huge_values():
    for values in ([5.0, 5.0], [-1e9, 1e9], [1e-9, 2e-9]):
        plot = charts.line_chart(values, low=None, high=None).plots[0]
        assert all(plot.frame.top <= dot.y <= plot.frame.bottom for dot in plot.dots)


def test_periods_are_shaded_and_named_where_the_name_fits():
    spans = tuple(
        charts.Span("period", 7 * i + 1, 7 * i + 7, f"Period {i + 1}", str(i + 1))
        for i in range(12)
    )
    chart = charts.line_chart([1.0] * 84, spans=spans)
    wide, narrow = chart.plots

    assert [band.label for band in narrow.bands] == [str(i + 1) for i in range(12)]
    assert sum(band.width for band in wide.bands) == pytest.approx(
        wide.frame.right - wide.frame.left, abs=1
    )
    assert chart.rows[7].span == "Period 2"


def test_today_is_marked_only_inside():
    assert charts.line_chart([1, 2], today=2).plots[0].today is not None
    assert charts.line_chart([1, 2], today=9).plots[0].today is None


@given(st.lists(st.one_of(st.none(), NUMBERS), max_size=60))
def test_any_series_stays_inside_its_frame(values: list[float | None]):
    for plot in charts.line_chart(values).plots:
        numbers = [float(n) for path in plot.paths for n in re.findall(r"-?\d+\.?\d*", path)]
        assert all(0 <= n <= plot.frame.width for n in numbers)
        assert "nan" not in "".join(plot.paths)
        assert len(plot.dots) + len(plot.missing) == len(values)


# ---- densities


def test_a_density_integrates_to_one_and_peaks_at_the_middle():
    draws = [math.sin(i) + math.sin(i * 1.7) + math.sin(i * 0.3) for i in range(4000)]
    xs, density = charts.kernel_density(draws)
    step = xs[1] - xs[0]

    assert sum(density) * step == pytest.approx(1.0)
    assert abs(xs[density.index(max(density))]) < 0.6
    assert min(density) >= 0


def test_equal_draws_are_a_narrow_spike():
    xs, density = charts.kernel_density([3.0] * 100)

    assert xs[0] < 3.0 < xs[-1]
    assert xs[-1] - xs[0] < 1.0
    assert all(math.isfinite(d) for d in density)


def test_a_curve_reports_what_the_draws_say():
    curve = charts.curve("A", [1.0, 2.0, 3.0, 4.0, 5.0, math.nan])

    assert (curve.mean, curve.q50) == (3.0, 3.0)
    assert curve.q05 == pytest.approx(1.2)


def test_no_draws_have_no_picture():
    with pytest.raises(ValueError, match="no finite draws of A"):
        charts.curve("A", [math.nan])
    assert charts.kernel_density([]) == ((), ())


def test_each_arm_has_its_own_line_and_the_axis_is_shared():
    chart = charts.density_chart(
        [charts.curve("A", [1, 2, 3]), charts.curve("B", [11, 12, 13])], reference=0.0
    )
    wide = chart.plots[0]

    assert [ridge.label for ridge in wide.ridges] == ["A", "B"]
    assert wide.ridges[0].baseline < wide.ridges[1].baseline
    assert wide.ridges[0].median < wide.ridges[1].median
    assert wide.reference == pytest.approx(wide.frame.left, abs=wide.frame.width * 0.2)
    assert charts.density_chart([]).plots[0].ridges == ()


# ---- contrasts


def test_an_interval_stands_where_its_numbers_are():
    chart = charts.forest_chart([charts.Interval("A minus B", -1.0, -2.0, 0.5)], rope=(-0.5, 0.5))
    plot = chart.plots[0]
    row = plot.rows[0]

    assert row.start < row.mean < plot.zero < row.end
    assert plot.rope is not None
    assert row.end == pytest.approx(plot.rope[0] + plot.rope[1], abs=0.2)


def test_no_contrasts_still_show_the_zero_line():
    plot = charts.forest_chart([]).plots[0]

    assert plot.frame.left <= plot.zero <= plot.frame.right
    assert (plot.rows, plot.rope) == ((), None)


# ---- probabilities


@pytest.mark.parametrize(
    ("probability", "sign", "share"),
    [
        (0.0, "<", 0.01),
        (0.004, "<", 0.01),
        (0.005, "", 0.01),
        (0.625, "", 0.63),
        (0.9949, "", 0.99),
        (0.995, ">", 0.99),
        (0.996, ">", 0.99),
        (1.0, ">", 0.99),
    ],
)
def test_a_probability_never_reads_as_certain(probability: float, sign: str, share: float):
    assert charts.whole_percent(probability) == (sign, pytest.approx(share))


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(probability: float):
    with pytest.raises(ValueError, match="not from 0 to 1"):
        charts.probability_bars([("A", probability)])


# ---- diagnostics


def test_thinning_keeps_the_extremes():
    chain = [0.0] * 5000
    chain[1234], chain[4321] = 9.0, -9.0

    kept = charts.thin(chain, 200)

    assert len(kept) <= 200
    assert (1234, 9.0) in kept
    assert (4321, -9.0) in kept
    assert [place for place, _ in kept] == sorted(place for place, _ in kept)


def test_a_trace_has_a_line_and_a_row_for_each_chain():
    chart = charts.trace_chart([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], []])

    assert [line.index for line in chart.plots[0].lines] == [0, 1]
    assert (chart.rows[0].mean, chart.rows[1].sd) == (2.0, 0.0)
    assert charts.trace_chart([]).rows == ()


def test_chains_that_agree_have_flat_ranks():
    chains = [[float(4 * i + c) for i in range(100)] for c in range(4)]
    chart = charts.rank_chart(chains, bins=20)

    assert {count for row in chart.rows for count in row.counts} == {5}
    assert chart.expected == 5


def test_a_chain_that_is_elsewhere_is_seen():
    chart = charts.rank_chart([[1.0] * 50, [5.0] * 50], bins=10)

    assert chart.rows[0].counts[:5] == (10, 10, 10, 10, 10)
    assert chart.rows[0].counts[5:] == (0, 0, 0, 0, 0)
    assert charts.rank_chart([]).rows == ()


# ---- out of a hundred


def test_icons_add_up_to_a_hundred():
    array = charts.icon_array([("better", 1 / 3), ("same", 1 / 3), ("worse", 1 / 3)])

    assert [row.count for row in array.rows] == [34, 33, 33]
    assert len(array.icons) == 100
    assert len({(icon.x, icon.y) for icon in array.icons}) == 100


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="add up"):
        charts.icon_array([("better", 0.5)])


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any))
def test_rounding_keeps_the_total_and_is_close(parts: list[int]):
    shares = [part / sum(parts) for part in parts]
    counts = charts.round_to_total(shares, 100)

    assert sum(counts) == 100
    assert all(abs(c - s * 100) < 1 for c, s in zip(counts, shares, strict=True))


# ---- days and periods


def test_the_timeline_counts_what_is_answered():
    days = [
        charts.Day(1, "answered"),
        charts.Day(2, "late"),
        charts.Day(3, "missed"),
        charts.Day(4, "open"),
        charts.Day(5, "future"),
    ]
    line = charts.timeline(PERIODS, days, today=4)
    first = line.rows[0]

    assert (first.answered, first.late, first.missed, first.open, first.future) == (1, 1, 1, 1, 1)
    assert first.expected == 3
    assert (line.first_day, line.last_day, line.today) == (1, 28, 4)
    assert len(line.plots[0].marks) == 5


def test_marks_and_periods_lie_above_each_other():
    line = charts.timeline(PERIODS, [charts.Day(d, "answered") for d in range(1, 29)])
    for plot in line.plots:
        second = plot.bands[1]
        inside = [
            m.day for m in plot.marks if second.x <= m.x + m.width / 2 <= second.x + second.width
        ]
        assert inside == list(range(15, 29))


def test_a_trial_without_days_has_an_empty_timeline():
    line = charts.timeline((), ())

    assert line.rows == ()
    assert line.today is None


def test_the_adherence_strip_counts_days_that_could_be_answered():
    days = [charts.Day(d, "missed" if d == 3 else "answered") for d in range(1, 21)]
    days += [charts.Day(21, "open"), *(charts.Day(d, "future") for d in range(22, 29))]
    strip = charts.adherence_strip((*PERIODS, charts.Span("washout", 15, 17)), days)

    assert (strip.answered, strip.expected) == (19, 20)
    assert [row.span.label for row in strip.rows] == ["Period 1", "Period 2"]
    for plot in strip.plots:
        assert len(plot.cells) == 28
        assert max(cell.x + cell.width for cell in plot.cells) <= plot.frame.width
        assert max(cell.y + cell.height for cell in plot.cells) <= plot.frame.height
