"""Short ways to make valid people and trials."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import uuid4

import numpy as np
from itsdangerous import Signer
from sqlalchemy.orm import Session

from models.analysis import Agreement, Analysis, analyze
from models.operating import Characteristics, ScenarioResult, Share
from models.posterior import Diagnostics, Engine
from trials.domain.adverse_event import (
    Account,
    Action,
    Causality,
    Criterion,
    EventOutcome,
    Severity,
)
from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.design import Design
from trials.domain.diary import Answers, Intake, Questionnaire, SideEffect, Source
from trials.domain.life_cycle import Step
from trials.domain.protocol import Candidate, Protocol
from trials.domain.red_flags import Urgency
from trials.keys import Vault
from trials.services.actor import SYSTEM, Actor
from trials.services.adverse_events import record_event
from trials.services.alerts import raise_alert
from trials.services.allocation import masked_sequence, sealed_arm_key
from trials.services.analysis import FitTask, finish_fit, prepare_fit, request_fit
from trials.services.calibration import finish_study, study_of
from trials.services.diary import Receipt, record_entry
from trials.services.invitations import Entry
from trials.services.patients import add_patient
from trials.services.running import start_trial
from trials.services.steps import take_step
from trials.services.trials import (
    create_trial,
    freeze_protocol,
    record_consent,
)
from trials.store.account import AccountRow, PatientRow, SiteRow, role_named
from trials.store.adverse_event import AdverseEventRow
from trials.store.alert import AlertRow
from trials.store.calibration import find_calibration
from trials.store.diary import days_of_trial
from trials.store.fit import FitRow
from trials.store.trial import TrialRow, frozen_protocol

VAULT = Vault(bytes(32))

PROTOCOL = Protocol(
    question="Which of the two eases my pain better?",
    candidates=(
        Candidate("ibuprofen", "Ibuprofen", "400 mg three times a day", 0.25),
        Candidate("amitriptyline", "Amitriptyline", "25 mg at night", 1.25),
    ),
    design=Design(("A", "B"), blocks=2, period_days=7, washout_days=2),
    questionnaire=Questionnaire(
        (SideEffect("nausea", "Feeling sick"), SideEffect("dry_mouth", "Dry mouth"))
    ),
)


def make_site(session: Session, name: str = "Pain clinic", *, is_demo: bool = False) -> SiteRow:
    """Return a new site in Berlin."""
    site = SiteRow(name=name, timezone="Europe/Berlin", is_demo=is_demo)
    session.add(site)
    session.flush()
    return site


def make_account(session: Session, site: SiteRow, *roles: Role, name: str = "") -> AccountRow:
    """Return a new account without a password."""
    name = name or "-".join(role.value for role in roles)
    account = AccountRow(
        site_id=site.id,
        name=name,
        email=f"{name}-{uuid4().hex[:8]}@example.org",
        fs_uniquifier=uuid4().hex,
        roles=[role_named(session, role.value) for role in roles],
    )
    session.add(account)
    session.flush()
    return account


def actor_for(account: AccountRow, role: Role) -> Actor:
    """Return the account acting in this role."""
    return Actor(account.id, account.public_id, role, account.site_id, "Europe/Berlin")


def make_actor(session: Session, site: SiteRow, role: Role) -> Actor:
    """Return somebody new at the site, acting in this role."""
    return actor_for(make_account(session, site, role), role)


def patient_actor(patient: PatientRow) -> Actor:
    """Return the patient acting for themselves."""
    return Actor(None, patient.public_id, Role.PATIENT, patient.site_id, patient.timezone)


def make_patient(
    session: Session, clinician: Actor, now: datetime, *, timezone: str = "Europe/Berlin"
) -> PatientRow:
    """Return a new patient."""
    code = f"P-{uuid4().hex[:6]}"
    return add_patient(
        session,
        clinician,
        code=code,
        name=f"Pat {code}",
        email=f"{code}@example.org",
        timezone=timezone,
        locale="en",
        now=now,
    )


def make_draft(
    session: Session,
    clinician: Actor,
    now: datetime,
    protocol: Protocol = PROTOCOL,
    *,
    timezone: str = "Europe/Berlin",
) -> TrialRow:
    """Return a draft for a new patient."""
    patient = make_patient(session, clinician, now, timezone=timezone)
    trial = create_trial(session, clinician, patient, title="Back pain", protocol=protocol, now=now)
    study_at_once(session, protocol, now)
    return trial


def study_at_once(
    session: Session, protocol: Protocol, now: datetime, *, threshold: float = 0.96
) -> None:
    """Keep what the design can tell, as if a worker had simulated it."""
    study = study_of(protocol)
    row = find_calibration(session, study.design_hash)
    if row is None or row.done_at is not None:
        return
    told = Characteristics(
        design_hash=study.design_hash,
        threshold=threshold,
        threshold_low=threshold - 0.01,
        threshold_high=min(threshold + 0.01, 1.0),
        best_used=max(threshold, protocol.decision.best),
        results=tuple(
            ScenarioResult(
                scenario=scenario,
                trials=100,
                right=Share(value=0.6, error=0.05),
                wrong=Share(value=0.04, error=0.02),
                equal=Share(value=0.06, error=0.02),
                none=Share(value=0.0, error=0.0),
                undetermined=Share(value=0.25, error=0.04),
                refused=Share(value=0.05, error=0.02),
                interval_width=2.5,
                interval_width_error=0.05,
                days=float(protocol.design.total_days),
                days_error=0.0,
                covered=Share(value=0.9, error=0.03),
            )
            for scenario in study.scenarios()
        ),
    )
    finish_study(session, row, told, trials=1000, seconds=20.0, now=now)


def make_ready(
    session: Session,
    clinician: Actor,
    now: datetime,
    protocol: Protocol = PROTOCOL,
    *,
    timezone: str = "Europe/Berlin",
) -> TrialRow:
    """Return a frozen trial with consent."""
    trial = make_draft(session, clinician, now, protocol, timezone=timezone)
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)
    today = local_day(now, zone_of(trial.timezone))
    record_consent(session, clinician, trial, given_on=today, now=now)
    return trial


def make_running(
    session: Session,
    clinician: Actor,
    now: datetime,
    protocol: Protocol = PROTOCOL,
    *,
    timezone: str = "Europe/Berlin",
) -> TrialRow:
    """Return a trial whose first day is today."""
    trial = make_ready(session, clinician, now, protocol, timezone=timezone)
    start_trial(
        session,
        VAULT,
        clinician,
        trial,
        revision=trial.revision,
        start_day=local_day(now, zone_of(trial.timezone)),
        now=now,
    )
    return trial


def open_protocol(protocol: Protocol = PROTOCOL) -> Protocol:
    """Return the same protocol, unblinded."""
    return replace(protocol, blinding=Blinding.OPEN)


def evening(day: date, hour: int = 20) -> datetime:
    """Return the instant at which clocks in Berlin show this hour."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone_of("Europe/Berlin"))


def evening_zone(now: datetime) -> str:
    """Return a zone in which it is between eight and nine in the evening."""
    offset = 20 - now.hour
    if offset > 14:
        offset -= 24
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def signed_device(entry: Entry) -> str:
    """Return the cookie by which a server with our ``VAULT`` knows a device."""
    signer = Signer(VAULT.derive("device cookie"), salt="device")
    return signer.sign(f"{entry.device_id}.{entry.secret}").decode()


def last_evening(session: Session, trial: TrialRow, period: int) -> datetime:
    """Return the evening on which a period is asked about."""
    return evening([d.day for d in days_of_trial(session, trial.id) if d.period == period][-1])


def answer(pain: int = 4, bother: int = 0) -> Answers:
    """Return the answers of an ordinary evening."""
    return Answers(pain=pain, bother=bother, side_effects={"nausea": 0}, intake=Intake.ALL)


def fill_day(
    session: Session,
    trial: TrialRow,
    day: date,
    pain: int = 4,
    *,
    bother: int = 0,
    nausea: int = 0,
    key: str = "",
    at: datetime | None = None,
) -> Receipt:
    """Report one day in its own evening, unless told otherwise."""
    return record_entry(
        session,
        trial,
        day,
        replace(answer(pain, bother), side_effects={"nausea": nausea}),
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key=key or uuid4().hex,
        now=at or evening(day),
    )


def trial_days(trial: TrialRow, protocol: Protocol = PROTOCOL) -> list[date]:
    """Return the dates of a started trial that was never paused."""
    assert trial.start_day is not None
    return [trial.start_day + timedelta(days=n) for n in range(protocol.design.total_days)]


def make_alert(
    session: Session, trial: TrialRow, now: datetime, rule: str = "RF-CARDIAC"
) -> AlertRow:
    """Return an alert that the patient raised and nobody acknowledged."""
    alert = raise_alert(
        session,
        patient_actor(trial.patient),
        trial,
        rule=rule,
        urgency=Urgency.IMMEDIATE,
        source="button",
        day=local_day(now, zone_of(trial.timezone)),
        now=now,
        signs=("chest_pain",),
    )
    assert alert is not None
    return alert


def make_event(
    session: Session, clinician: Actor, trial: TrialRow, now: datetime
) -> AdverseEventRow:
    """Return a serious event whose report nobody signed; every treatment is judged alike."""
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None
    account = Account(
        title="Fainted at home",
        began_on=local_day(now, zone_of(trial.timezone)),
        severity=Severity.SEVERE,
        outcome=EventOutcome.RECOVERING,
        action=Action.TREATMENT_PAUSED,
        course="Fainted in the kitchen and was admitted for a night.",
        criteria=(Criterion.HOSPITAL,),
        causality=dict.fromkeys(frozen.value.treatments, Causality.POSSIBLE),
    )
    return record_event(session, clinician, trial, account, known_at=now, now=now)


RELIEF = {"ibuprofen": 0.0, "amitriptyline": -2.5}
"""Points of pain a day on each of the two treatments of ``PROTOCOL``: a clear winner."""


def fill_diary(
    session: Session,
    trial: TrialRow,
    relief: Mapping[str, float] = RELIEF,
    *,
    missed: Collection[int] = (),
    level: float = 6.0,
    severe_on: str = "",
    seed: int = 1,
) -> None:
    """Report every day of the trial but the missed ones (counted from 1), with plausible noise.

    On the treatment ``severe_on`` nausea is severe on every other day.
    """
    noise = np.random.default_rng(seed)
    sequence = masked_sequence(session, VAULT, trial)
    key = sealed_arm_key(session, VAULT, trial)
    for day in days_of_trial(session, trial.id):
        pain = level + noise.normal(0.0, 1.0)
        if day.period:
            pain += relief[key[sequence[day.period - 1]]]
        bother = round(abs(noise.normal(0.0, 1.2)))
        if day.number not in missed and day.state not in {"paused", "cancelled"}:
            worst = day.period and key[sequence[day.period - 1]] == severe_on and day.number % 2
            fill_day(
                session,
                trial,
                day.day,
                round(min(max(pain, 0), 10)),
                bother=bother,
                nausea=3 if worst else 0,
            )


def make_completed(
    session: Session,
    clinician: Actor,
    now: datetime,
    protocol: Protocol = PROTOCOL,
    relief: Mapping[str, float] = RELIEF,
    *,
    missed: Collection[int] = (),
    severe_on: str = "",
) -> TrialRow:
    """Return a trial whose diary is complete and waits for its analysis."""
    trial = make_running(session, clinician, now, protocol)
    fill_diary(session, trial, relief, missed=missed, severe_on=severe_on)
    days = days_of_trial(session, trial.id)
    take_step(session, SYSTEM, trial, Step.COMPLETE, evening(days[-1].day, 23))
    return trial


def as_confirmed(analysis: Analysis) -> Analysis:
    """Return an exact analysis as if a sampler of four chains had said the same."""
    if analysis.burden is None:
        return analysis
    diagnostics = Diagnostics(
        draws=analysis.burden.size,
        r_hat=1.002,
        ess_bulk=2210.0,
        ess_tail=1840.0,
        divergences=0,
        chains=4,
    )
    return replace(
        analysis,
        burden=replace(analysis.burden, engine=Engine.PYMC, diagnostics=diagnostics),
        exact=analysis.burden,
        agreement=Agreement(p_best=0.004, mean=0.02, p_best_allowed=0.04, mean_allowed=0.09),
        verdict=replace(analysis.verdict, provisional=False),
    )


def run_exactly(task: FitTask, *, draws: int = 1000) -> Analysis:
    """Return what a worker would send back, in milliseconds."""
    return as_confirmed(analyze(task.data, task.specification, seed=task.seed, draws=draws))


def make_fit(
    session: Session,
    analyst: Actor,
    trial: TrialRow,
    now: datetime,
    purpose: str = "final",
    *,
    draws: int = 1000,
    meanwhile: Callable[[], object] | None = None,
) -> FitRow:
    """Ask for an analysis and have it done; something may happen while the worker computes."""
    fit = request_fit(session, VAULT, analyst, trial, purpose=purpose, now=now)
    task = prepare_fit(session, VAULT, fit)
    if meanwhile is not None:
        meanwhile()
    finish_fit(session, VAULT, fit, task, run_exactly(task, draws=draws), now)
    return fit
