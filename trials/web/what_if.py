"""The verdict at another weight of side effects, tried while the reader waits."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import request
from flask_babel import format_decimal
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.design import Outcome
from trials.domain.errors import ProtocolError
from trials.domain.protocol import LARGEST_WEIGHT, Protocol
from trials.services.analysis import check_reader
from trials.services.what_if import WhatIf, what_if
from trials.store.trial import TrialRow, frozen_protocol
from trials.web.edge import current_actor, sentence_of, vault
from trials.web.phrases import Names, name_of, number_text, percent_text
from trials.web.verdict import VerdictText, verdict_text


@dataclass(frozen=True, slots=True)
class WhatIfText:
    """The answer at another weight.

    Attributes:
        weight: that was tried, as text.
        frozen: that decides, as text.
        is_frozen: whether both are the same.
        verdict: what the rule would say.
        arms: name, net burden with its middle 90 %, and chance of being the best; best first.
    """

    weight: str
    frozen: str
    is_frozen: bool
    verdict: VerdictText
    arms: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class WhatIfForm:
    """The field to try another weight with.

    Attributes:
        action: where it is answered.
        typed: what stands in the field.
        error: what is wrong with it, "" if nothing.
        most: the largest weight there is, as text.
    """

    action: str
    typed: str
    error: str
    most: str


@dataclass(frozen=True, slots=True)
class WhatIfPage:
    """All that templates/report/what_if.html may use.

    Attributes:
        back_href: back to the verdict.
        form: the field to try another weight with.
        shown: the answer; None where there is none.
    """

    back_href: str
    form: WhatIfForm
    shown: WhatIfText | None


def what_if_page(
    session: Session,
    trial: TrialRow,
    *,
    action: str,
    back_href: str,
    call: Callable[[WhatIf], Names],
) -> WhatIfPage:
    """Return the answer to the weight of this request, or the form alone.

    Args:
        session: the transaction.
        trial: whose diary.
        action: address of this very page.
        back_href: address of the page with the verdict.
        call: what this reader calls each arm.
    """
    typed, weight = asked_weight()
    actor = current_actor()
    check_reader(actor, trial)
    if typed is None:
        frozen = frozen_protocol(session, trial.id)
        form = what_if_form(action, frozen_weight(frozen.value) if frozen else "")
        return WhatIfPage(back_href, form, None)
    if weight is None:
        return WhatIfPage(back_href, what_if_form(action, typed, not_a_weight()), None)
    try:
        found = what_if(session, vault(), actor, trial, weight)
    except ProtocolError as problem:
        return WhatIfPage(back_href, what_if_form(action, typed, sentence_of(problem)), None)
    return WhatIfPage(back_href, what_if_form(action, typed), read_what_if(found, call(found)))


def what_if_form(action: str, typed: str, error: str = "") -> WhatIfForm:
    """Return the field with what was typed, or with the frozen weight."""
    return WhatIfForm(action, typed, error, number_text(LARGEST_WEIGHT, 0))


def frozen_weight(protocol: Protocol) -> str:
    """Return the weight that was agreed, as it is typed; 0 when pain alone decides."""
    weight = protocol.bother_weight if protocol.outcome is Outcome.NET_BURDEN else 0.0
    return f"{weight:g}"


def asked_weight() -> tuple[str | None, float | None]:
    """Return the weight of the request as typed and as a number, each None where there is none."""
    typed = request.args.get("weight")
    if typed is None:
        return None, None
    typed = typed.strip()[:12]
    try:
        return typed, float(typed.replace(",", "."))
    except ValueError:
        return typed, None


def not_a_weight() -> str:
    """Return what to say of a weight that is no number."""
    return str(
        _("Give a number of points from 0 to %(most)s.", most=number_text(LARGEST_WEIGHT, 0))
    )


def read_what_if(found: WhatIf, names: Names) -> WhatIfText:
    """Return the answer as text.

    Args:
        found: what the engine said.
        names: what this reader calls each arm.
    """
    summary = {
        "verdict": found.verdict,
        "arms": {label: {"p_best": arm.p_best} for label, arm in found.arms.items()},
    }
    ranked = sorted(found.arms.items(), key=lambda item: item[1].mean)
    return WhatIfText(
        weight=_weight_text(found.weight),
        frozen=_weight_text(found.frozen),
        is_frozen=abs(found.weight - found.frozen) < 1e-9,
        verdict=verdict_text(summary, names),
        arms=tuple(
            (
                name_of(label, names),
                str(
                    _(
                        "%(mean)s (%(low)s to %(high)s)",
                        mean=number_text(arm.mean, 1),
                        low=number_text(arm.low, 1),
                        high=number_text(arm.high, 1),
                    )
                ),
                _("left out") if arm.p_best is None else percent_text(arm.p_best),
            )
            for label, arm in ranked
        ),
    )


def _weight_text(weight: float) -> str:
    return str(format_decimal(round(weight, 2)))
