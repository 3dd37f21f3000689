"""Turn numbers into the geometry of the product's charts.

Each public function takes plain numbers and returns one frozen value with everything that
``templates/_macros/charts.html`` and ``timeline.html`` draw: positions and path strings in the
pixels of an SVG view box, ticks, and the rows of the table that says the same in text. Nothing
here knows a language, a web framework or a treatment: labels are given by the caller (masked
arms, numbered periods) and numbers are formatted by the templates for the reader's locale.

A chart is laid out twice, for a phone and for a desk, because text inside a scaled drawing would
otherwise become unreadable on a phone; the style sheet shows one of the two.
"""

from trials.web.charts.axes import (
    NARROW,
    WIDE,
    Frame,
    Number,
    Scale,
    Tick,
    nice_ticks,
)
from trials.web.charts.chains import (
    Bar,
    ChainRow,
    RankChart,
    RankPanel,
    RankPlot,
    RankRow,
    TraceChart,
    TraceLine,
    TracePlot,
    rank_chart,
    rank_histograms,
    thin,
    trace_chart,
)
from trials.web.charts.daily import (
    Dot,
    LineChart,
    LinePlot,
    LineRow,
    line_chart,
)
from trials.web.charts.density import (
    Curve,
    DensityChart,
    DensityPlot,
    Ridge,
    curve,
    density_chart,
    kernel_density,
)
from trials.web.charts.forest import (
    ForestChart,
    ForestPlot,
    ForestRow,
    Interval,
    forest_chart,
)
from trials.web.charts.shares import (
    Icon,
    IconArray,
    IconGroup,
    ProbabilityBar,
    icon_array,
    probability_bars,
    round_to_total,
    whole_percent,
)
from trials.web.charts.spans import (
    Band,
    Span,
)
from trials.web.charts.timeline import (
    AdherenceStrip,
    Day,
    DayMark,
    SpanRow,
    StripLine,
    StripPlot,
    Timeline,
    TimelinePlot,
    adherence_strip,
    timeline,
)

__all__ = [
    "NARROW",
    "WIDE",
    "AdherenceStrip",
    "Band",
    "Bar",
    "ChainRow",
    "Curve",
    "Day",
    "DayMark",
    "DensityChart",
    "DensityPlot",
    "Dot",
    "ForestChart",
    "ForestPlot",
    "ForestRow",
    "Frame",
    "Icon",
    "IconArray",
    "IconGroup",
    "Interval",
    "LineChart",
    "LinePlot",
    "LineRow",
    "Number",
    "ProbabilityBar",
    "RankChart",
    "RankPanel",
    "RankPlot",
    "RankRow",
    "Ridge",
    "Scale",
    "Span",
    "SpanRow",
    "StripLine",
    "StripPlot",
    "Tick",
    "Timeline",
    "TimelinePlot",
    "TraceChart",
    "TraceLine",
    "TracePlot",
    "adherence_strip",
    "curve",
    "density_chart",
    "forest_chart",
    "icon_array",
    "kernel_density",
    "line_chart",
    "nice_ticks",
    "probability_bars",
    "rank_chart",
    "rank_histograms",
    "round_to_total",
    "thin",
    "timeline",
    "trace_chart",
    "whole_percent",
]
