"""The released result in plain words, or when to expect it."""

from dataclasses import replace

from flask import url_for
from flask.typing import ResponseReturnValue

from trials.domain.life_cycle import RESULT_KNOWN
from trials.web import plain_result
from trials.web.access import open_to_patient
from trials.web.edge import current_actor, transaction, vault
from trials.web.patient.blueprint import bp, render
from trials.web.patient.trial import TrialLink, choose_trial, own_trials


@bp.get("/result")
@open_to_patient
def result() -> ResponseReturnValue:
    """Show the released result in plain words, or when to expect it."""
    with transaction() as session:
        if not own_trials(session):
            return render("result", plain_result.ResultPage("none"))
        choice = choose_trial(session)
        known = [t for t in own_trials(session) if t.current_state in RESULT_KNOWN]
        others = tuple(
            TrialLink(t.title, t.state, url_for("patient.result", trial=t.public_id))
            for t in known
            if t.id != choice.trial.id
        )
        page = plain_result.result_page(session, vault(), current_actor(), choice.trial)
    return render("result", replace(page, clinic=choice.address("clinic"), others=others))
