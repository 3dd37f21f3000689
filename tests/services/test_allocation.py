"""The allocation: drawn once, sealed, read by the pharmacist alone, checkable afterwards."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    PROTOCOL,
    VAULT,
    make_actor,
    make_draft,
    make_ready,
    make_site,
    open_protocol,
)
from trials.domain.blinding import Role
from trials.domain.commitment import Allocation, verify_commitment, verify_draw
from trials.domain.errors import AllocationError, NotAllowedError, StateError
from trials.domain.protocol import protocol_hash
from trials.keys import Vault
from trials.services.allocation import (
    UnblindingReason,
    commitment_of,
    dispensing_list,
    known_treatments,
    masked_sequence,
    open_allocation,
    unblind_period,
    unblinded_periods,
)
from trials.services.trials import (
    amend_protocol,
    freeze_protocol,
)
from trials.store.allocation import AllocationRow
from trials.store.audit import AuditRow
from trials.store.trial import frozen_protocol


@pytest.fixture
def site(session: Session):
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site):
    return make_actor(session, site, Role.CLINICIAN)


@pytest.fixture
def pharmacist(session: Session, site):
    return make_actor(session, site, Role.PHARMACIST)


def test_freezing_draws_and_publishes_a_commitment(session: Session, clinician, now):
    trial = make_draft(session, clinician, now)
    assert commitment_of(session, trial) == ""

    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)

    assert len(commitment_of(session, trial)) == 64
    assert sorted(masked_sequence(session, VAULT, trial)) == ["A", "A", "B", "B"]


def test_freezing_twice_draws_once(session: Session, clinician, now):
    trial = make_draft(session, clinician, now)
    first = freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)
    promised = commitment_of(session, trial)

    again = freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)

    assert again is first
    assert commitment_of(session, trial) == promised
    assert len(session.scalars(select(AllocationRow)).all()) == 1


def test_an_amended_protocol_is_drawn_anew_and_the_old_draw_stays(session: Session, clinician, now):
    trial = make_ready(session, clinician, now)
    promised = commitment_of(session, trial)

    amend_protocol(session, clinician, trial, revision=trial.revision, now=now)
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)

    assert commitment_of(session, trial) != promised
    kept = [row.commitment for row in session.scalars(select(AllocationRow))]
    assert promised in kept
    assert len(kept) == 2


def test_the_pharmacist_reads_the_list_and_the_reading_is_recorded(
    session: Session, clinician, pharmacist, now
):
    trial = make_ready(session, clinician, now)

    listed = dispensing_list(session, VAULT, pharmacist, trial, now)

    sequence = masked_sequence(session, VAULT, trial)
    assert [line.period for line in listed.periods] == [1, 2, 3, 4]
    same_arm = {
        (a.treatment == b.treatment) == (sequence[a.period - 1] == sequence[b.period - 1])
        for a in listed.periods
        for b in listed.periods
    }
    assert same_arm == {True}
    reading = session.scalars(
        select(AuditRow).where(AuditRow.action == "read_dispensing_list")
    ).one()
    assert reading.actor == pharmacist.public_id


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.ANALYST, Role.ADMINISTRATOR, Role.PATIENT])
def test_nobody_else_reads_the_list_of_a_blinded_trial(
    session: Session, site, clinician, now, role
):
    trial = make_ready(session, clinician, now)
    nosy = (
        make_actor(session, site, role)
        if role is not Role.PATIENT
        else replace(clinician, role=role)
    )

    with pytest.raises(NotAllowedError):
        dispensing_list(session, VAULT, nosy, trial, now)
    assert known_treatments(session, VAULT, role, trial) is None


def test_in_an_open_trial_the_clinician_reads_it_too(session: Session, clinician, now):
    trial = make_ready(session, clinician, now, open_protocol())

    assert len(dispensing_list(session, VAULT, clinician, trial, now).periods) == 4


def test_the_database_holds_nothing_that_tells(session: Session, clinician, now):
    """Whoever steals the database without the key learns neither sequence nor key nor seed."""
    trial = make_ready(session, clinician, now)
    row = session.scalars(select(AllocationRow)).one()
    opened = open_allocation(session, VAULT, clinician, trial, now)

    stored = b"".join([row.sealed_sequence, row.sealed_code])
    for secret in (
        str(opened["seed"]),
        bytes.fromhex(str(opened["seed"])).decode("latin1"),
        "ibuprofen",
    ):
        assert secret.encode("latin1") not in stored
    with pytest.raises(AllocationError, match="does not open"):
        masked_sequence(session, Vault(bytes(31) + b"\x01"), trial)


def test_sealed_bytes_do_not_open_elsewhere(session: Session, clinician, now):
    """Copying one trial's sealed sequence over another's is noticed."""
    mine, other = (
        make_ready(session, clinician, now),
        make_ready(session, clinician, now, replace(PROTOCOL, question="Another question?")),
    )
    stolen = session.scalars(select(AllocationRow).where(AllocationRow.trial_id == other.id)).one()
    own = session.scalars(select(AllocationRow).where(AllocationRow.trial_id == mine.id)).one()
    frozen = frozen_protocol(session, mine.id)
    assert frozen is not None
    assert frozen.hash is not None
    with pytest.raises(AllocationError):
        VAULT.open("allocation sequence", stolen.sealed_sequence, context=frozen.hash)
    with pytest.raises(AllocationError):
        VAULT.open("allocation code", own.sealed_sequence, context=frozen.hash)


def test_an_allocation_cannot_be_changed_in_the_database(sessions: sessionmaker[Session], now):
    with sessions.begin() as session:
        make_ready(session, make_actor(session, make_site(session), Role.CLINICIAN), now)
    for attack in ("UPDATE allocation SET commitment = 'x'", "DELETE FROM allocation"):
        with pytest.raises(Exception, match="only ever added"), sessions.begin() as session:
            session.execute(text(attack))


def test_one_period_is_opened_in_an_emergency(session: Session, clinician, pharmacist, now):
    trial = make_ready(session, clinician, now)

    found = unblind_period(
        session,
        VAULT,
        pharmacist,
        trial,
        period=2,
        reason=UnblindingReason.OVERDOSE,
        explanation="Took the whole box.",
        now=now,
    )

    assert found in {"Ibuprofen 400 mg three times a day", "Amitriptyline 25 mg at night"}
    assert unblinded_periods(session, trial) == (2,)
    told = session.scalars(select(AuditRow).where(AuditRow.action == "unblind_period")).one()
    assert told.why == "Took the whole box."
    assert "mitriptyline" not in json.dumps([told.before, told.after, told.subject])
    assert known_treatments(session, VAULT, Role.CLINICIAN, trial) is None, "the rest stays closed"


def test_opening_a_code_needs_the_pharmacist_a_reason_and_a_period(
    session: Session, clinician, pharmacist, now
):
    trial = make_ready(session, clinician, now)
    wanted = {"period": 1, "reason": UnblindingReason.OTHER, "explanation": "Why not", "now": now}

    with pytest.raises(NotAllowedError):
        unblind_period(session, VAULT, clinician, trial, **wanted)
    with pytest.raises(AllocationError, match="why the code"):
        unblind_period(session, VAULT, pharmacist, trial, **(wanted | {"explanation": " "}))
    with pytest.raises(AllocationError, match="no period 9"):
        unblind_period(session, VAULT, pharmacist, trial, **(wanted | {"period": 9}))
    with pytest.raises(StateError, match="open"):
        unblind_period(
            session,
            VAULT,
            pharmacist,
            make_ready(session, clinician, now, open_protocol()),
            **wanted,
        )


def test_what_is_opened_at_the_release_can_be_checked_by_anybody(session: Session, clinician, now):
    trial = make_ready(session, clinician, now)
    promised = commitment_of(session, trial)

    opened = open_allocation(session, VAULT, clinician, trial, now)

    allocation = Allocation(
        seed=bytes.fromhex(str(opened["seed"])),
        sequence=tuple(opened["sequence"]),
        arm_key=opened["arm_key"],
        kits=(),
    )
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None
    assert verify_commitment(promised, protocol_hash(frozen.value), allocation)
    assert not verify_draw(PROTOCOL.design, PROTOCOL.treatments, allocation), "kits are part of it"
