"""What a phone takes along so that the diary works for days without a network.

A phone keeps two things. The *pack* is a small JSON: the days that can be answered in the next
two weeks, each with its hours as instants, what to take, the clinic's telephone number, and the red
flags with what to say about them. The
*shells* are pages of no day and no person: the diary's form, the first page, and a page that
says that there is no network. Neither holds an answer, a name or a result.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path

from flask import Response, current_app, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf
from sqlalchemy.orm import Session

from trials.domain.calendar import instant, zone_of
from trials.domain.canonical import canonical_hash
from trials.domain.clocks import LONGEST_WAIT
from trials.domain.errors import StateError
from trials.domain.life_cycle import UNDER_WAY
from trials.domain.words import marked
from trials.services import diary
from trials.services.help_numbers import help_numbers
from trials.services.language import SOURCE_LANGUAGE, catalogue_file, languages
from trials.store.account import PatientRow
from trials.store.diary import DiaryDayRow, days_of_trial, last_revisions
from trials.store.trial import TrialRow, frozen_protocol
from trials.web.access import open_to_patient, public
from trials.web.edge import current_patient, now, transaction
from trials.web.local_words import city, day_name
from trials.web.patient.advice import CallLine, all_calls, calls_by_kind, kit_for_phone
from trials.web.patient.blueprint import bp, render
from trials.web.patient.diary import DiaryPage
from trials.web.patient.today import Takes
from trials.web.patient.trial import own_trials

NOBODYS: dict[str, object] = {"signed_in_as": "", "languages": ()}
"""What the frame leaves out of a page of no person, kept for times when nothing can be sent."""

STATIC = Path(__file__).parents[1] / "static"
KEPT_ALONG = LONGEST_WAIT
"""How far ahead days are told, and how long a phone keeps what it sent."""

FILES = (
    "lenitive.css",
    "patient.css",
    "lenitive.js",
    "img/favicon.svg",
    "img/icon-192.png",
    "offline/advice.js",
    "offline/calls.js",
    "offline/diary.js",
    "offline/form.js",
    "offline/help.js",
    "offline/mood.js",
    "offline/page.js",
    "offline/sender.js",
    "offline/shell.js",
    "offline/store.js",
    "offline/worker.js",
    "vendor/atkinson-hyperlegible-5.3.0/atkinson-hyperlegible-latin-400-normal.woff2",
    "vendor/atkinson-hyperlegible-5.3.0/atkinson-hyperlegible-latin-700-normal.woff2",
    "vendor/atkinson-hyperlegible-5.3.0/atkinson-hyperlegible-latin-ext-400-normal.woff2",
    "vendor/atkinson-hyperlegible-5.3.0/atkinson-hyperlegible-latin-ext-700-normal.woff2",
    "vendor/nhsuk-frontend-10.6.1/base.css",
    "vendor/nhsuk-frontend-10.6.1/base.rtl.css",
    "vendor/nhsuk-frontend-10.6.1/nhsuk.mjs",
)
"""The files that the shells need."""


OFFLINE_ROUTES = ("pack", "check_kept", "take_entry", "take_photo", "take_serious", "take_mood")
"""What a phone's script asks for and sends to."""


@cache
def version() -> str:
    """Return a text that changes whenever anything that a phone keeps may have changed."""
    digest = sha256(version_of("lenitive").encode())
    templates = Path(str(current_app.template_folder))
    for path in (
        *(STATIC / name for name in FILES),
        *sorted((templates / "patient").glob("*.html")),
        *sorted((templates / "_macros").glob("*.html")),
        templates / "base.html",
        *(catalogue_file(code) for code in languages() if code != SOURCE_LANGUAGE),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# ---- the app itself ------------------------------------------------------------------------


@bp.get("/service-worker.js")
@public
def worker() -> ResponseReturnValue:
    """Return the script that answers for us when there is no network.

    It stands at the root because a worker covers the folder it comes from; it leaves every page
    alone but the patient's. A new version is a new text, and takes over at once.
    """
    told = {
        "version": version(),
        "files": [url_for("static", filename=name) for name in FILES],
        "pages": sorted(_first_parts()),
        "shells": _shells(),
        "addresses": addresses(),
        "icon": url_for("static", filename="img/icon-192.png"),
    }
    module = json.dumps(url_for("static", filename="offline/worker.js"))
    script = f"import {{ start }} from {module};\nstart({json.dumps(told, indent=1)});\n"
    return Response(script, mimetype="text/javascript")


@bp.get("/app.webmanifest")
@public
def manifest() -> ResponseReturnValue:
    """Return what a phone needs to know to install the diary as an app."""
    icons = (
        ("icon-192", 192, "any"),
        ("icon-512", 512, "any"),
        ("icon-maskable-512", 512, "maskable"),
    )
    content = {
        "id": url_for("patient.today"),
        "name": _("Lenitive: my diary"),
        "short_name": "Lenitive",
        "description": _("Your trial, twenty seconds a day."),
        "lang": _language(),
        "dir": get_locale().text_direction,
        "start_url": url_for("patient.today"),
        "scope": "/",
        "display": "standalone",
        "orientation": "any",
        "background_color": "#fbfaf7",
        "theme_color": "#0e5a60",
        "categories": ["medical", "health"],
        "icons": [
            {
                "src": url_for("static", filename=f"img/{name}.png"),
                "sizes": f"{size}x{size}",
                "type": "image/png",
                "purpose": purpose,
            }
            for name, size, purpose in icons
        ],
    }
    return Response(json.dumps(content), mimetype="application/manifest+json")


def addresses() -> dict[str, str]:
    """Return where a phone's script sends what."""
    return {name: url_for(f"patient.{name}") for name in OFFLINE_ROUTES}


def _shells() -> dict[str, str]:
    return {
        "today": url_for("patient.shell_today"),
        "diary": url_for("patient.shell_diary"),
        "earlier": url_for("patient.shell_diary", earlier=1),
        "away": url_for("patient.shell_away"),
        "help": url_for("patient.shell_help"),
        "mood": url_for("patient.shell_mood"),
    }


def _shells_of(own: Sequence[TrialRow], under_way: TrialRow | None) -> dict[str, str]:
    """Return the pages to keep: where no diary is kept there is no form to be had."""
    without = {"diary", "earlier"} if under_way is None else set()
    if not own:
        without.add("mood")
    return {name: address for name, address in _shells().items() if name not in without}


def _first_parts() -> set[str]:
    """Return how the addresses of the patient's pages begin: "/today", "/diary"."""
    rules = (r for r in current_app.url_map.iter_rules() if r.endpoint.startswith("patient."))
    parts = {"/" + r.rule.split("/")[1] for r in rules}
    return {part for part in parts if part != "/offline" and "." not in part}


def _language() -> str:
    return str(get_locale()).replace("_", "-")


# ---- the pack ------------------------------------------------------------------------------


@bp.get("/offline/pack")
@open_to_patient
def pack() -> ResponseReturnValue:
    """Tell a phone what it needs for the next days, the time, and a fresh token."""
    at = now()
    with transaction() as session:
        patient = current_patient()
        content = _pack(session, patient, own_trials(session), at)
    # Not escaped: a box number must read as it does on a page, or tests could not find it.
    response = Response(json.dumps(content, ensure_ascii=False), mimetype="application/json")
    response.headers["X-CSRFToken"] = generate_csrf()
    return response


def _under_way(own: Sequence[TrialRow]) -> TrialRow | None:
    """Return the patient's main trial, if its diary is being kept."""
    return own[0] if own and own[0].current_state in UNDER_WAY else None


def _pack(
    session: Session, patient: PatientRow, own: Sequence[TrialRow], at: datetime
) -> dict[str, object]:
    trial = _under_way(own)
    content: dict[str, object] = {
        "owner": patient.public_id,
        "now": _milliseconds(at),
        "lang": _language(),
        "zone": patient.timezone,
        "place": "",
        "clinic": {"name": patient.site.name, "phone": patient.site.phone},
        "kept_days": KEPT_ALONG.days,
        "shells": _shells_of(own, trial),
        "trial": "",
        "days": [],
        "safety": None,
        "kits": {t.public_id: _safety(session, t) for t in own if t.current_state in UNDER_WAY},
    }
    questionnaire: object = None
    if trial is not None:
        questionnaire = diary.ordered_questionnaire(session, trial)
        zone = zone_of(trial.timezone)
        content |= {
            "trial": trial.public_id,
            "zone": trial.timezone,
            "place": city(zone),
            "days": _days(session, trial, at),
            "safety": _safety(session, trial),
        }
    calls = help_numbers(session, patient.site)  # they stand on the shells
    named = own[0].public_id if own else ""  # so does the main trial
    kept = [version(), content["lang"], content["clinic"], questionnaire, calls, named]
    return content | {"edition": canonical_hash(kept)[:16]}


def _safety(session: Session, trial: TrialRow) -> dict[str, object] | None:
    frozen = frozen_protocol(session, trial.id)
    return None if frozen is None else kit_for_phone(trial, frozen.value)


def _days(session: Session, trial: TrialRow, at: datetime) -> list[dict[str, object]]:
    frozen = frozen_protocol(session, trial.id)
    takes = Takes(session, trial, frozen.value if frozen else None)
    known = last_revisions(session, trial.id)
    return [
        _day(row, takes, known.get(row.day, 0), trial.timezone)
        for row in days_of_trial(session, trial.id)
        if row.state in {"planned", "open", "answered"}
        and at < row.late_until
        and row.opens_at < at + KEPT_ALONG
    ]


def _day(row: DiaryDayRow, takes: Takes, known: int, zone: str) -> dict[str, object]:
    midnight = instant(row.day + timedelta(days=1), time(0, 0), zone_of(zone))
    take = takes.of(row.period)
    return {
        "day": row.day.isoformat(),
        "name": day_name(row.day),
        "opens": _milliseconds(row.opens_at),
        "ends": _milliseconds(midnight),
        "closes": _milliseconds(row.closes_at),
        "late_until": _milliseconds(row.late_until),
        "known": known,
        "kit": take.kit if take else "",
        "treatment": " ".join(filter(None, (take.treatment, take.dose))) if take else "",
        "times": " · ".join(take.times) if take else "",
    }


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# ---- the shells ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShellPage:
    """All that templates/patient/shell_today.html and shell_away.html may use.

    Attributes:
        home: the first page.
        calls: every number to call.
    """

    home: str
    calls: tuple[CallLine, ...]


@bp.get("/offline/today")
@open_to_patient
def shell_today() -> ResponseReturnValue:
    """Return the first page as it is without a network; a script fills it from the pack."""
    with transaction() as session:
        page = _shell_page(session)
    return render("shell_today", page, **NOBODYS)


@bp.get("/offline/away")
@open_to_patient
def shell_away() -> ResponseReturnValue:
    """Return what stands in for every page that needs a network."""
    with transaction() as session:
        page = _shell_page(session)
    return render("shell_away", page, **NOBODYS)


@bp.get("/offline/diary")
@open_to_patient
def shell_diary() -> ResponseReturnValue:
    """Return the diary's form of no day; a script fills in which."""
    with transaction() as session:
        trial = _under_way(own_trials(session))
        if trial is None:
            raise StateError(marked("No diary is kept at present."))
        questionnaire = diary.ordered_questionnaire(session, trial)
        calls = calls_by_kind(session, trial.site)
    page = DiaryPage(
        day="",
        near="",
        is_today="earlier" not in request.args,
        late=False,
        until="",
        replaces=False,
        questionnaire=questionnaire,
        key="",
        action="",
        back=url_for("patient.today"),
        is_shell=True,
        calls=calls,
    )
    return render("diary", page, **NOBODYS)


def _shell_page(session: Session) -> ShellPage:
    numbers = help_numbers(session, current_patient().site)
    return ShellPage(url_for("patient.today"), all_calls(numbers))
