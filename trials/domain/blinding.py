"""Who may see which treatment, and when.

The rule is one table. In an open trial everybody concerned knows the treatments; in a
blinded one only the pharmacist does, until the result is released or the code is opened
for one period in an emergency. Nobody but the pharmacist sees the sequence before the
release: who knows that periods 1 and 4 hold the same arm is half unblinded.
"""

from enum import StrEnum

from trials.domain.life_cycle import RESULT_KNOWN, State


class Role(StrEnum):
    """In what capacity a person uses the system."""

    PATIENT = "patient"
    CLINICIAN = "clinician"
    PHARMACIST = "pharmacist"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"


class Blinding(StrEnum):
    """Whether the treatments are hidden."""

    BLINDED = "blinded"
    OPEN = "open"


CONCERNED = frozenset({Role.PATIENT, Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST})
"""Roles that read a trial at all; an administrator never reads clinical data."""


def may_see_allocation(role: Role, blinding: Blinding, state: State) -> bool:
    """Return whether this role may learn the treatment and the sequence of every period."""
    if role not in CONCERNED:
        return False
    if role is Role.PHARMACIST or blinding is Blinding.OPEN:
        return True
    return state in RESULT_KNOWN


def may_see_interim_result(role: Role, blinding: Blinding, state: State) -> bool:
    """Return whether this role may see a posterior of this trial.

    The analyst may, by masked arms; the clinician and the patient only after release, or
    they would treat the numbers instead of finishing the trial.
    """
    if role is Role.ANALYST:
        return True
    return role in {Role.CLINICIAN, Role.PATIENT} and state in RESULT_KNOWN


def may_unblind(role: Role) -> bool:
    """Return whether this role may open the code of one period in an emergency."""
    return role is Role.PHARMACIST
