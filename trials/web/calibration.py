"""What a design can tell, on the page of its trial: the answer comes from a worker, once.

The study is made before anything is drawn and knows no patient's allocation, so everybody who
sees the protocol may see it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from flask_babel.speaklater import LazyString
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.life_cycle import State
from trials.domain.protocol import Protocol, with_least_certainty
from trials.services import calibration, trials
from trials.services.calibration import Standing, StudyState
from trials.store.trial import TrialRow
from trials.web.access import open_to
from trials.web.agreement import NOTHING
from trials.web.edge import current_actor, now, transaction
from trials.web.phrases import number_text, percent_text

bp = Blueprint("calibration", __name__, url_prefix="/clinician/trials/<trial>/calibration")

SCENARIOS: Mapping[str, LazyString] = {
    "no difference": lazy_gettext("there is no difference"),
    "one better by 1 point": lazy_gettext("one is better by 1 point"),
    "one better by 2 points": lazy_gettext("one is better by 2 points"),
    "2 points, 30 % missing when bad": lazy_gettext(
        "one is better by 2 points, and bad days often go unanswered"
    ),
    "2 points, strong drift": lazy_gettext("one is better by 2 points, while pain falls by itself"),
    "no difference, slow wandering": lazy_gettext(
        "there is no difference, but pain wanders from week to week"
    ),
    "2 points, heavy tails": lazy_gettext("one is better by 2 points, with sudden flares"),
    "2 points, rounded to whole numbers": lazy_gettext(
        "one is better by 2 points, in whole numbers"
    ),
    "2 points at first, then waning": lazy_gettext(
        "one is better by 2 points at first, then less and less"
    ),
    "2 points, half-lives twice as long as assumed": lazy_gettext(
        "one is better by 2 points, and effects fade half as fast as assumed"
    ),
    "less pain, undone by bother": lazy_gettext(
        "one takes pain away, and its side effects undo that"
    ),
}
"""The scenarios of ``models.operating.default_scenarios``, after "If in truth ..."."""

TELLING = ("no difference", "one better by 1 point", "one better by 2 points")
"""The three that a clinician asks first."""
VERDICTS = ("right", "wrong", "equal", "none", "undetermined", "refused")
"""Shares of a scenario's result, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class DesignTold:
    """All that templates/clinician/_calibration.html may use.

    Attributes:
        state: where the study stands.
        text: a sentence about that, or what the design can tell in short.
        refresh: seconds after which the page may be looked at again, 0 for never.
        again: where to ask for it again, "" where that is of no use.
        head: headings of the table.
        first: rows of the questions asked first; text cells.
        rest: the other rows.
        note: what the numbers are.
        threshold: how sure the answer must be, and why.
    """

    state: StudyState
    text: str
    refresh: int = 0
    again: str = ""
    head: tuple[str, ...] = ()
    first: tuple[tuple[str, ...], ...] = ()
    rest: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    threshold: str = ""

    @property
    def is_done(self) -> bool:
        """Whether there is a table."""
        return self.state is StudyState.DONE


@bp.post("/again")
@open_to(Role.CLINICIAN)
def ask_again(trial: str) -> ResponseReturnValue:
    """Have the design studied after it failed, or was never asked for."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        calibration.ask_again(session, current_actor(), row, now=now())
    flash(str(_("What this design can tell is being computed.")), "success")
    return redirect(url_for("clinician.show_trial", trial=trial), code=303)


def design_told(session: Session, trial: TrialRow, protocol: Protocol) -> DesignTold | None:
    """Return what the page of a trial says about its design; None for an old one never studied."""
    found = calibration.standing(session, protocol, now())
    is_draft = trial.current_state is State.DRAFT
    if found.state is StudyState.DONE:
        return _table(found, protocol)
    if not is_draft:
        return None
    if found.state in {StudyState.WAITING, StudyState.RUNNING}:
        return DesignTold(found.state, _waiting(found), refresh=max(10, min(found.seconds, 60)))
    text = (
        _("Computing what this design can tell failed three times. The administrator finds why.")
        if found.state is StudyState.FAILED
        else _("Nobody has asked yet what this design can tell.")
    )
    again = url_for("calibration.ask_again", trial=trial.public_id)
    return DesignTold(found.state, str(text), again=again)


def _waiting(found: Standing) -> str:
    if found.state is StudyState.RUNNING:
        return str(
            ngettext(
                "Simulated patients go through this design now. It takes about %(num)s second.",
                "Simulated patients go through this design now. It takes about %(num)s seconds.",
                found.seconds,
            )
        )
    return str(
        ngettext(
            "This design waits for its turn to be simulated. It takes about %(num)s second.",
            "This design waits for its turn to be simulated. It takes about %(num)s seconds.",
            found.seconds,
        )
    )


def _table(found: Standing, protocol: Protocol) -> DesignTold:
    results = _results(found)
    by_name = {result["scenario"]["name"]: result for result in results}
    head = (
        str(_("If in truth ...")),
        str(_("Names the right one")),
        str(_("Names a wrong one")),
        str(_("Practically equal")),
        str(_("None beats the reference")),
        str(_("Cannot tell")),
        str(_("No answer")),
        str(_("Days")),
    )
    keep = [n for n in range(len(head)) if protocol.comparator or n != 1 + VERDICTS.index("none")]
    known = found.calibration
    return DesignTold(
        state=found.state,
        text=_in_short(by_name),
        head=tuple(head[n] for n in keep),
        first=tuple(_row(by_name[name], keep) for name in TELLING if name in by_name),
        rest=tuple(_row(result, keep) for name, result in by_name.items() if name not in TELLING),
        note=str(
            _(
                "Of %(trials)s simulated patients each, in percent; the true share lies within "
                "twice the number after ± of the one shown. Side effects too severe, and "
                "diaries unlike any simulated one, are not part of this.",
                trials=results[0]["trials"] if results else 0,
            )
        ),
        threshold=_threshold(known.threshold, protocol) if known else "",
    )


def _results(found: Standing) -> list[dict[str, Any]]:
    kept = (found.characteristics or {}).get("results", [])
    assert isinstance(kept, list)  # noqa: S101  # written by services.calibration
    return kept


def _row(result: Mapping[str, Any], keep: list[int]) -> tuple[str, ...]:
    name = result["scenario"]["name"]
    is_neutral = name.startswith("no difference")
    shares = [
        NOTHING if verdict == "right" and is_neutral else _share(result[verdict])
        for verdict in VERDICTS
    ]
    cells = (str(SCENARIOS.get(name, name)), *shares, number_text(result["days"], 0))
    return tuple(cells[n] for n in keep)


def _share(share: Mapping[str, float]) -> str:
    """Return "62 ± 3", in percent."""
    return f"{100 * share['value']:.0f} ± {100 * share['error']:.0f}"


def _in_short(by_name: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the sentence a clinician and a patient need before they agree to the weeks."""
    small, large, neutral = (by_name.get(name) for name in (*TELLING[1:], TELLING[0]))
    if small is None or large is None or neutral is None:
        return ""
    return str(
        _(
            "If one treatment is better by 2 points, this design names it in %(large)s of 100 "
            "trials; if it is better by 1 point, in %(small)s. If there is no difference, it "
            "names one wrongly in %(wrong)s of 100.",
            large=f"{100 * large['right']['value']:.0f}",
            small=f"{100 * small['right']['value']:.0f}",
            wrong=f"{100 * neutral['wrong']['value']:.0f}",
        )
    )


def _threshold(threshold: float, protocol: Protocol) -> str:
    least = with_least_certainty(protocol).decision.best
    if threshold > least:
        why = _("the simulation asks for it, so that without any difference at most 5 % name one")
    elif least > protocol.decision.best:
        why = _("real pain asks for it where an effect lasts for a quarter of a period or more")
    else:
        why = _("as agreed; the simulation of this design asks for no more")
    needed = max(least, threshold)
    return str(_("To be named best takes a probability of %(needed)s: %(why)s.",
                 needed=percent_text(needed), why=why))  # fmt: skip
