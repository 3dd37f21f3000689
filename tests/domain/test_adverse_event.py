"""What a report of a serious event must hold."""

from datetime import date

import pytest

from trials.domain.adverse_event import Causality, Criterion, Severity, check_account

TODAY = date(2026, 3, 10)
TREATMENTS = ("ibuprofen", "amitriptyline")
TYPED = {
    "title": "Bleeding",
    "began_on": "2026-03-08",
    "ended_on": "",
    "severity": "severe",
    "outcome": "recovering",
    "action": "trial_paused",
    "causality-ibuprofen": "probable",
    "causality-amitriptyline": "unlikely",
    "course": "Was admitted on Sunday.",
}


def check(criteria=("hospital",), **typed):
    return check_account({**TYPED, **typed}, list(criteria), TREATMENTS, today=TODAY)


def test_a_complete_form_becomes_an_account():
    account, errors = check()

    assert errors == {}
    assert account.criteria == (Criterion.HOSPITAL,)
    assert account.is_serious
    assert account.ended_on is None
    assert account.causality == {
        "ibuprofen": Causality.PROBABLE,
        "amitriptyline": Causality.UNLIKELY,
    }


def test_an_event_can_be_severe_without_being_serious():
    account, errors = check(criteria=())

    assert errors == {}
    assert account.severity is Severity.SEVERE
    assert not account.is_serious


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"began_on": ""}, "began_on"),
        ({"began_on": "2026-03-11"}, "began_on"),
        ({"ended_on": "2026-03-07"}, "ended_on"),
        ({"ended_on": "2026-03-11"}, "ended_on"),
        ({"ended_on": "soon"}, "ended_on"),
        ({"severity": ""}, "severity"),
        ({"outcome": "fine"}, "outcome"),
        ({"action": ""}, "action"),
        ({"course": ""}, "course"),
        ({"causality-ibuprofen": ""}, "causality-ibuprofen"),
        ({"causality-amitriptyline": ""}, "causality-amitriptyline"),
    ],
)
def test_what_is_missing_is_asked_for(typed, field: str):
    account, errors = check(**typed)

    assert account is None
    assert set(errors) == {field}


def test_a_mild_event_without_a_criterion_needs_no_report():
    account, errors = check(criteria=(), severity="mild")

    assert account is None
    assert set(errors) == {"criteria"}
