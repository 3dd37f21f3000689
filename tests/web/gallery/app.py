"""A tiny application for tests: every macro with sample values, on pages like the real ones.

It uses the product's templates and static files, its content security policy and StrictUndefined,
but no database and no account. Sample answers are made by fixed formulas, so the pages are the
same on every machine.
"""

import math
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

from flask import Flask, Response, render_template, request
from flask_babel import Babel, format_date
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

from trials.web import charts

ROOT = Path(__file__).parents[3]
POLICY = (
    "default-src 'self'; style-src 'self'; script-src 'self' 'nonce-none'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PAGES = ("diary", "today", "trial", "analysis", "result", "setup", "parts", "errors")
START = date(2026, 3, 2)
BLOCKS = ((1, 14), (15, 28), (29, 42), (43, 56), (57, 70), (71, 84))
TODAY = 48


def create_gallery() -> Flask:
    """Return the gallery application."""
    app = Flask(__name__, static_folder=str(ROOT / "trials" / "web" / "static"))
    app.jinja_loader = ChoiceLoader(
        [
            FileSystemLoader(ROOT / "templates"),
            FileSystemLoader(Path(__file__).parent / "templates"),
        ]
    )
    app.config.update(SECRET_KEY="gallery", TESTING=True)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.globals["csrf_token"] = lambda: "token"
    Babel(app, locale_selector=lambda: request.args.get("lang", "en"))

    @app.context_processor
    def frame() -> dict[str, object]:
        patient = request.path in {"/diary", "/today"}
        lang = request.args.get("lang", "en")
        return {
            "lang": lang,
            "text_dir": "rtl" if lang in {"ar", "he"} else "ltr",
            "nav": []
            if patient
            else [
                ("Trials", "/trial", True),
                ("Catalogue", "/parts", False),
                ("Messages", "#", False),
            ],
            "signed_in_as": "" if patient else "Dr Ines Albrecht",
            "site_name": "Riverside Pain Clinic",
            "sign_out_href": "/sign-out",
            "account_href": "/account",
            "help_href": "/help",
            "demo": "demo" in request.args,
        }

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/<name>")
    def page(name: str) -> str:
        if name not in PAGES:
            return render_template("errors/404.html")
        return render_template(f"gallery/{name}.html", page=sample(request.args))

    @app.get("/error/<code>")
    def error(code: str) -> str:
        return render_template(f"errors/{code}.html")

    return app


def pain_on(day: int) -> float | None:
    """A made-up but plausible answer: waves, better in every third period, some days missing."""
    if day in {5, 19, 20, 33, 41}:
        return None
    level = 6.2 - 1.9 * ((day - 1) // 14 % 3 == 1) - 0.7 * ((day - 1) // 14 % 3 == 2)
    wave = 1.1 * math.sin(day * 1.7) + 0.8 * math.sin(day * 0.61 + 2)
    return float(min(10, max(0, round(level + wave))))


def draws(center: float, spread: float, count: int = 1500, shift: float = 0.0) -> list[float]:
    """Normal quantiles in a fixed scrambled order, standing in for posterior draws."""
    normal = NormalDist(center, spread)
    order = [(i * 1009 + int(shift * 7)) % count for i in range(count)]
    return [normal.inv_cdf((k + 0.5) / count) for k in order]


def sample(args: object) -> SimpleNamespace:
    """All values of the sample pages."""
    spans = []
    for number, (first, last) in enumerate(BLOCKS, start=1):
        spans.append(
            charts.Span(
                "period", first, last, f"Period {number}", str(number), dates_of(first, last)
            )
        )
    washouts = [charts.Span("washout", first, first + 2) for first, _ in BLOCKS[1:]]
    days = [charts.Day(d, state_on(d)) for d in range(1, 85)]
    values = [pain_on(d) for d in range(1, TODAY)]
    labels = [format_date(START + timedelta(d - 1), "d MMM") for d in range(1, TODAY)]
    arms = [("A", 5.9, 0.35), ("B", 4.2, 0.33), ("C", 5.2, 0.38)]
    chains = [draws(-1.7, 0.45, 800, shift) for shift in (0, 11, 23, 31)]
    return SimpleNamespace(
        pain=charts.line_chart(values, spans=spans, today=TODAY, labels=labels, last_day=84),
        own_pain=charts.line_chart(values[-28:], first_day=TODAY - 28, labels=labels[-28:]),
        nothing=charts.line_chart([]),
        timeline=charts.timeline([*spans, *washouts], days, TODAY),
        adherence=charts.adherence_strip(spans, days),
        densities=charts.density_chart([charts.curve(a, draws(m, s)) for a, m, s in arms]),
        contrasts=charts.forest_chart(
            [
                charts.Interval("A minus B", 1.7, 0.9, 2.5),
                charts.Interval("A minus C", 0.7, -0.2, 1.5),
                charts.Interval("B minus C", -1.0, -1.9, -0.2),
            ],
            rope=(-0.5, 0.5),
        ),
        best=charts.probability_bars([("A", 0.001), ("B", 0.962), ("C", 0.037)]),
        trace=charts.trace_chart(chains),
        ranks=charts.rank_chart(chains),
        icons=charts.icon_array(
            [
                ("much better days (at least 30 % less pain)", 0.58),
                ("a little better", 0.24),
                ("no better", 0.18),
            ]
        ),
        errors={
            "pain": "Please choose a number from 0 to 10.",
            "intake": "Say whether you took it.",
        }
        if "errors" in args
        else {},
        typed={"sleep": 4} if "errors" in args else {},
        effects=["Nausea", "Dizziness", "Dry mouth", "Constipation"],
    )


def dates_of(first: int, last: int) -> str:
    """The dates of a span, as a view would format them."""
    start, end = START + timedelta(first - 1), START + timedelta(last - 1)
    return f"{format_date(start, 'd MMM')} - {format_date(end, 'd MMM')}"


def state_on(day: int) -> str:
    """The state of a sample diary day."""
    if day > TODAY:
        return "future"
    if day == TODAY:
        return "open"
    if pain_on(day) is None:
        return "missed"
    return "late" if day in {9, 26, 44} else "answered"
