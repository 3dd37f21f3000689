"""The report of a serious adverse event, ready to be sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import render_template
from flask_babel import format_date, format_datetime
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.adverse_event import (
    ACTIONS,
    CAUSALITIES,
    CRITERIA,
    OUTCOMES,
    SEVERITIES,
    Account,
)
from trials.domain.blinding import Blinding
from trials.domain.protocol import Candidate
from trials.services import adverse_events as services
from trials.store.adverse_event import AdverseEventRow, AdverseEventVersionRow
from trials.store.trial import frozen_protocol, periods_of_trial


@dataclass(frozen=True, slots=True)
class ReportPage:
    """All that templates/report/adverse_event.txt may use: the report of one version.

    Attributes:
        site: name of the clinic.
        phone: of the clinic.
        patient: the patient's code.
        trial: public id.
        question: what the trial is about.
        protocol: version and hash.
        blinded: whether the treatments are hidden from the writer.
        kit: number of the box in use when it began, "" if none.
        period: its number, 0 outside.
        number: of the event.
        version: of the report.
        account: what is known.
        known: when the clinic came to know of it.
        causality: name and dose of each treatment, and the judgement.
        written: when this version was written, and by whom.
        signed: whether it is signed.
        why: of an amendment.
        words: the account's choices in words, by field.
        dates: the account's dates in words, by field.
    """

    site: str
    phone: str
    patient: str
    trial: str
    question: str
    protocol: str
    blinded: bool
    kit: str
    period: int
    number: int
    version: int
    account: Account
    known: str
    causality: tuple[tuple[str, str], ...]
    written: str
    signed: bool
    why: str
    words: Mapping[str, str]
    dates: Mapping[str, str]


def report_text(session: Session, event: AdverseEventRow, row: AdverseEventVersionRow) -> str:
    """Return the report in words. It names every treatment of the trial alike and no allocation."""
    trial, account = event.trial, row.account
    frozen = frozen_protocol(session, trial.id)
    protocol = services.protocol_of(session, trial)
    period = next(
        (
            p
            for p in periods_of_trial(session, trial.id)
            if p.first_day <= account.began_on <= p.last_day
        ),
        None,
    )
    page = ReportPage(
        site=trial.site.name,
        phone=trial.site.phone,
        patient=trial.patient.code,
        trial=trial.public_id,
        question=protocol.question,
        protocol=f"{protocol.version}, {frozen.hash if frozen else ''}",
        blinded=trial.how_blinded is Blinding.BLINDED,
        kit=period.kit if period is not None else "",
        period=period.number if period is not None else 0,
        number=event.number,
        version=row.version,
        account=account,
        known=format_datetime(event.known_at, "long"),
        causality=tuple(
            (named(candidate), str(_(CAUSALITIES[account.causality[candidate.treatment]])))
            for candidate in protocol.candidates
            if candidate.treatment in account.causality
        ),
        written=f"{format_datetime(row.written_at, 'long')}, {row.writer.name}",
        signed=row.signed,
        why=row.why,
        words={
            "severity": str(_(SEVERITIES[account.severity])),
            "outcome": str(_(OUTCOMES[account.outcome])),
            "action": str(_(ACTIONS[account.action])),
            "criteria": "; ".join(str(_(CRITERIA[c])) for c in account.criteria),
        },
        dates={
            "began": format_date(account.began_on, "long"),
            "ended": format_date(account.ended_on, "long") if account.ended_on else "",
        },
    )
    return _tidy(render_template("report/adverse_event.txt", page=page))


def _tidy(text: str) -> str:
    """Return the text with at most one empty line in a row, and none at its ends."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"


def named(candidate: Candidate) -> str:
    """Return a treatment as it is agreed, with its dose."""
    return f"{candidate.name} {candidate.dose}".strip()
