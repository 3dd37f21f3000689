"""The one table of who may see what."""

import pytest

from trials.domain.blinding import (
    Blinding,
    Role,
    may_see_allocation,
    may_see_interim_result,
    may_unblind,
)
from trials.domain.life_cycle import RESULT_KNOWN, State


@pytest.mark.parametrize("state", list(State))
def test_in_a_blinded_trial_only_the_pharmacist_sees_the_allocation_before_the_release(
    state: State,
):
    seers = {role for role in Role if may_see_allocation(role, Blinding.BLINDED, state)}

    everybody = {Role.PATIENT, Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST}
    assert seers == (everybody if state in RESULT_KNOWN else {Role.PHARMACIST})


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("blinding", list(Blinding))
def test_an_administrator_sees_no_clinical_data(blinding: Blinding, state: State):
    assert not may_see_allocation(Role.ADMINISTRATOR, blinding, state)
    assert not may_see_interim_result(Role.ADMINISTRATOR, blinding, state)


def test_in_an_open_trial_all_concerned_know():
    assert may_see_allocation(Role.PATIENT, Blinding.OPEN, State.RUNNING)


@pytest.mark.parametrize("role", [Role.PATIENT, Role.CLINICIAN])
def test_those_who_treat_do_not_see_results_before_the_release(role: Role):
    for state in State:
        assert may_see_interim_result(role, Blinding.BLINDED, state) == (state in RESULT_KNOWN)


def test_only_the_pharmacist_opens_a_code():
    assert [role for role in Role if may_unblind(role)] == [Role.PHARMACIST]
