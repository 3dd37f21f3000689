"""Draw, keep and open the allocation: the only place that can.

The masked sequence and the code (seed and arm key) are sealed under different keys. The fit
reads the masked sequence; only the pharmacist, an emergency and the release read the code.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role, may_see_allocation
from trials.domain.commitment import (
    Allocation,
    commit,
    draw_allocation,
    verify_commitment,
    verify_draw,
)
from trials.domain.errors import AllocationError, NotAllowedError, StateError
from trials.domain.protocol import Protocol, protocol_hash
from trials.domain.randomization import SEED_BYTES
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import Actor, record, require_role
from trials.store.account import AccountRow
from trials.store.allocation import (
    AllocationRow,
    UnblindingRow,
    find_allocation,
    unblindings_of_trial,
)
from trials.store.base import Json
from trials.store.trial import (
    ProtocolRow,
    TrialRow,
    frozen_protocol,
    guesses_of_trial,
    periods_of_trial,
)

SEQUENCE = "allocation sequence"
CODE = "allocation code"
WHOLE_TRIAL = 0
"""The period number that stands for all of them."""


class UnblindingReason(StrEnum):
    """Why a code is opened."""

    SERIOUS_ADVERSE_EVENT = "serious_adverse_event"
    OVERDOSE = "overdose"
    PREGNANCY = "pregnancy"
    OTHER = "other"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Opening:
    """One time the code was opened; never what was found.

    Attributes:
        period: number, 0 for all periods at the release.
        reason: why.
        explanation: in the pharmacist's words.
        by: name of the person, "" for the system.
        at: UTC instant.
    """

    period: int
    reason: UnblindingReason
    explanation: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DispensedPeriod:
    """One line of the pharmacist's list.

    Attributes:
        period: number, from 1.
        first_day: of the period; None before the start date is set.
        last_day: likewise.
        kit: number on the box.
        treatment: catalogue id.
        name: of the treatment.
        dose: as written in the protocol.
    """

    period: int
    first_day: date | None
    last_day: date | None
    kit: str
    treatment: str
    name: str
    dose: str


@dataclass(frozen=True, slots=True)
class DispensingList:
    """All that the pharmacist needs to pack a trial."""

    periods: tuple[DispensedPeriod, ...]
    commitment: str
    days_per_period: int


def new_seed() -> bytes:
    """Return 32 secret bytes from the operating system."""
    return secrets.token_bytes(SEED_BYTES)


def draw(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    frozen: ProtocolRow,
    now: datetime,
) -> str:
    """Draw the allocation of a protocol that was just frozen; return the commitment.

    A protocol is drawn once: asking again returns the same commitment and changes nothing.

    Raises:
        AllocationError: the protocol is not frozen.
    """
    if frozen.hash is None:
        raise AllocationError(_("The sequence is drawn only after the protocol was frozen."))
    existing = find_allocation(session, frozen.id)
    if existing is not None:
        return existing.commitment
    protocol = frozen.value
    allocation = draw_allocation(protocol.design, protocol.treatments, new_seed())
    row = AllocationRow(
        trial_id=trial.id,
        protocol_id=frozen.id,
        commitment=commit(frozen.hash, allocation),
        sealed_sequence=vault.seal(
            SEQUENCE, json.dumps(allocation.sequence).encode(), context=frozen.hash
        ),
        sealed_code=vault.seal(CODE, _write_code(allocation), context=frozen.hash),
        drawn_at=now,
    )
    session.add(row)
    session.flush()
    record(
        session,
        actor,
        "draw_allocation",
        f"trial:{trial.public_id}",
        now,
        trial=trial,
        after={"commitment": row.commitment, "protocol": frozen.hash},
    )
    return row.commitment


def commitment_of(session: Session, trial: TrialRow) -> str:
    """Return the published commitment, or "" before the protocol is frozen."""
    frozen = frozen_protocol(session, trial.id)
    row = find_allocation(session, frozen.id) if frozen else None
    return row.commitment if row else ""


def dispensing_list(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, now: datetime
) -> DispensingList:
    """Return what is in which box; the reading is recorded.

    Raises:
        NotAllowedError: the actor is not the pharmacist (in an open trial, not of the staff).
    """
    if actor.role is None or not may_see_allocation(
        actor.role, trial.how_blinded, trial.current_state
    ):
        raise NotAllowedError(_("Only the pharmacist may see what is in the kits."))
    frozen, row = _drawn(session, trial)
    allocation = _read_code(vault, frozen, row)
    protocol = frozen.value
    days = {p.number: p for p in periods_of_trial(session, trial.id)}
    lines = []
    for number, kit in enumerate(allocation.kits, start=1):
        candidate = protocol.candidate(allocation.treatment_of_period(number))
        period = days.get(number)
        lines.append(
            DispensedPeriod(
                period=number,
                first_day=period.first_day if period else None,
                last_day=period.last_day if period else None,
                kit=kit,
                treatment=candidate.treatment,
                name=candidate.name,
                dose=candidate.dose,
            )
        )
    record(session, actor, "read_dispensing_list", f"trial:{trial.public_id}", now, trial=trial)
    return DispensingList(tuple(lines), row.commitment, protocol.design.period_days)


def kits_of(session: Session, vault: Vault, trial: TrialRow) -> tuple[str, ...]:
    """Return the kit number of each period; it tells nothing about the arm."""
    frozen, row = _drawn(session, trial)
    return _read_code(vault, frozen, row).kits


def masked_sequence(session: Session, vault: Vault, trial: TrialRow) -> tuple[str, ...]:
    """Return the masked arm of each period, for the fit; no treatment is read."""
    frozen, row = _drawn(session, trial)
    opened = vault.open(SEQUENCE, row.sealed_sequence, context=frozen.hash or "")
    return tuple(json.loads(opened))


def sealed_arm_key(session: Session, vault: Vault, trial: TrialRow) -> dict[str, str]:
    """Return the treatment of each masked arm, for the half-lives that the fit must know.

    What is computed from it leaves ``services.analysis`` only sealed or masked.
    """
    frozen, row = _drawn(session, trial)
    return dict(_read_code(vault, frozen, row).arm_key)


def known_treatments(
    session: Session, vault: Vault, role: Role, trial: TrialRow
) -> dict[int, str] | None:
    """Return the treatment of each period for a role that may know it, else None."""
    if not may_see_allocation(role, trial.how_blinded, trial.current_state):
        return None
    frozen = frozen_protocol(session, trial.id)
    row = find_allocation(session, frozen.id) if frozen else None
    if frozen is None or row is None:
        return None
    allocation = _read_code(vault, frozen, row)
    return {
        number: allocation.treatment_of_period(number)
        for number in range(1, len(allocation.sequence) + 1)
    }


def unblind_period(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    period: int,
    reason: UnblindingReason,
    explanation: str,
    now: datetime,
) -> str:
    """Open the code of one period in an emergency; return the treatment's name and dose.

    The other periods stay closed. Who, when and why is kept for good; what was found is not
    written anywhere a blinded person can read.

    Raises:
        NotAllowedError: the actor is not the pharmacist.
        AllocationError: there is no such period, or no explanation.
    """
    require_role(actor, Role.PHARMACIST)
    if not explanation.strip():
        raise AllocationError(_("Please say in a few words why the code must be opened."))
    if trial.how_blinded is Blinding.OPEN:
        raise StateError(_("This trial is open: there is nothing to unblind."))
    frozen, row = _drawn(session, trial)
    allocation = _read_code(vault, frozen, row)
    if not 1 <= period <= len(allocation.sequence):
        raise AllocationError(_("This trial has no period %(period)s."), period=period)
    session.add(
        UnblindingRow(
            trial_id=trial.id,
            period=period,
            reason=reason.value,
            explanation=explanation.strip(),
            opened_by=actor.id,
            opened_at=now,
        )
    )
    record(
        session,
        actor,
        "unblind_period",
        f"trial:{trial.public_id}",
        now,
        trial=trial,
        after={
            "period": period,
            "reason": reason.value,
            "guess_kept": any(g.period == period for g in guesses_of_trial(session, trial.id)),
        },
        why=explanation.strip(),
    )
    candidate = frozen.value.candidate(allocation.treatment_of_period(period))
    return f"{candidate.name} {candidate.dose}".strip()


def open_allocation(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, now: datetime
) -> Json:
    """Return the allocation in clear at the release, checked against its commitment.

    Raises:
        AllocationError: what was kept is not what was promised; nothing may be released.
    """
    frozen, row = _drawn(session, trial)
    allocation = _read_code(vault, frozen, row)
    protocol = frozen.value
    if not (
        verify_commitment(row.commitment, frozen.hash or "", allocation)
        and verify_draw(protocol.design, protocol.treatments, allocation)
    ):
        raise AllocationError(
            _("The allocation is not the one that was promised at the freeze. Stop and find out.")
        )
    session.add(
        UnblindingRow(
            trial_id=trial.id,
            period=WHOLE_TRIAL,
            reason=UnblindingReason.RELEASE.value,
            explanation="",
            opened_by=actor.id,
            opened_at=now,
        )
    )
    return {
        "protocol_hash": frozen.hash,
        "commitment": row.commitment,
        "seed": allocation.seed.hex(),
        "sequence": list(allocation.sequence),
        "arm_key": dict(allocation.arm_key),
    }


def unblinded_periods(session: Session, trial: TrialRow) -> tuple[int, ...]:
    """Return the periods whose code was opened in an emergency, in order."""
    opened = {u.period for u in unblindings_of_trial(session, trial.id)} - {WHOLE_TRIAL}
    return tuple(sorted(opened))


def openings(session: Session, trial: TrialRow) -> tuple[Opening, ...]:
    """Return every time the code of this trial was opened, in order.

    The explanation is free text of somebody who knows the treatment: it is for the pharmacist,
    and for others only after the release.
    """
    found = []
    for row in unblindings_of_trial(session, trial.id):
        account = session.get(AccountRow, row.opened_by) if row.opened_by is not None else None
        found.append(
            Opening(
                period=row.period,
                reason=UnblindingReason(row.reason),
                explanation=row.explanation,
                by=account.name if account is not None else "",
                at=row.opened_at,
            )
        )
    return tuple(found)


def opened_as_promised(opened: Json, protocol: Protocol) -> bool:
    """Return whether an opened allocation is the one promised at the freeze, drawn from its seed.

    Args:
        opened: what the release keeps in clear (see ``open_allocation``).
        protocol: the frozen agreement.
    """
    seed = bytes.fromhex(str(opened["seed"]))
    redrawn = draw_allocation(protocol.design, protocol.treatments, seed)
    same = opened["sequence"] == list(redrawn.sequence) and opened["arm_key"] == redrawn.arm_key
    promised = verify_commitment(str(opened["commitment"]), protocol_hash(protocol), redrawn)
    return same and promised


def _drawn(session: Session, trial: TrialRow) -> tuple[ProtocolRow, AllocationRow]:
    frozen = frozen_protocol(session, trial.id)
    row = find_allocation(session, frozen.id) if frozen else None
    if frozen is None or row is None:
        raise AllocationError(_("No sequence has been drawn for this trial yet."))
    return frozen, row


def _write_code(allocation: Allocation) -> bytes:
    code = {
        "seed": allocation.seed.hex(),
        "sequence": allocation.sequence,
        "arm_key": dict(allocation.arm_key),
        "kits": allocation.kits,
    }
    return json.dumps(code).encode()


def _read_code(vault: Vault, frozen: ProtocolRow, row: AllocationRow) -> Allocation:
    code = json.loads(vault.open(CODE, row.sealed_code, context=frozen.hash or ""))
    return Allocation(
        seed=bytes.fromhex(code["seed"]),
        sequence=tuple(code["sequence"]),
        arm_key=code["arm_key"],
        kits=tuple(code["kits"]),
    )
