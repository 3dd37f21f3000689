"""What counts as an answer, and that missing stays missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.domain.diary import Intake, Questionnaire, SideEffect
from trials.domain.diary_form import check_answers
from trials.domain.errors import ProtocolError

DRY_MOUTH = SideEffect("dry_mouth", "Dry mouth")
NAUSEA = SideEffect("nausea", "Feeling sick")
ASKED = Questionnaire((DRY_MOUTH, NAUSEA), rescue="paracetamol 500 mg")
QUIET = {"pain": "4", "any_side_effects": "no", "intake": "all"}


def test_a_quiet_evening():
    answers, errors = check_answers(ASKED, QUIET)

    assert errors == {}
    assert answers is not None
    assert (answers.pain, answers.bother, answers.intake) == (4, 0, Intake.ALL)
    assert answers.side_effects == {"dry_mouth": 0, "nausea": 0}
    assert answers.sleep is None
    assert answers.interference is None
    assert answers.rescue_doses is None


def test_side_effects_are_given_with_their_severity():
    form = QUIET | {"any_side_effects": "yes", "side_effect-nausea": "2", "bother": "3"}

    answers, errors = check_answers(ASKED, form)

    assert errors == {}
    assert answers is not None
    assert answers.bother == 3
    assert answers.side_effects == {"nausea": 2}, "what was not answered is missing, not none"


@pytest.mark.parametrize("pain", ["", "11", "-1", "10.5", "four", " ", "1e1", "٣", "00004"])
def test_pain_is_a_whole_number_from_0_to_10(pain: str):
    answers, errors = check_answers(ASKED, QUIET | {"pain": pain})

    assert answers is None
    assert errors == {"pain": "Please choose a number from 0 to 10."}


def test_all_problems_are_said_at_once():
    _none, errors = check_answers(ASKED, {"rescue_doses": "many", "note": "x" * 501, "sleep": "12"})

    assert sorted(errors) == ["any_side_effects", "intake", "note", "pain", "rescue_doses", "sleep"]


def test_bother_is_asked_only_with_side_effects():
    _none, errors = check_answers(ASKED, QUIET | {"any_side_effects": "yes"})

    assert list(errors) == ["bother"]


def test_what_is_not_asked_is_not_kept():
    answers, _errors = check_answers(
        Questionnaire(sleep=False, interference=False), QUIET | {"sleep": "9", "rescue_doses": "3"}
    )

    assert answers is not None
    assert (answers.sleep, answers.rescue_doses) == (None, None)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "pain",
                "bother",
                "sleep",
                "any_side_effects",
                "intake",
                "rescue_doses",
                "note",
                "side_effect-nausea",
            ]
        ),
        st.text(),
    )
)
def test_nothing_a_form_can_hold_breaks_the_check(form: dict[str, str]):
    answers, errors = check_answers(ASKED, form)

    assert (answers is None) == bool(errors)
    if answers is not None:
        assert 0 <= answers.pain <= 10


def test_a_list_that_tires_is_refused():
    with pytest.raises(ProtocolError, match="at most 12"):
        Questionnaire(tuple(SideEffect(str(n), "x") for n in range(13)))
    with pytest.raises(ProtocolError, match="twice"):
        Questionnaire((NAUSEA, NAUSEA))
