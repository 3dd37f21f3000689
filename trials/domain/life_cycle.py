"""The states of a trial and the steps between them.

draft -> ready -> running -> (paused) -> completed | stopped -> analysed -> released -> decided
-> followed up. There is no way back but one: an amended protocol takes a trial that has not
begun from ready to draft, as a new version.
"""

from dataclasses import dataclass
from enum import StrEnum

from trials.domain.errors import StateError
from trials.domain.words import marked as _


class State(StrEnum):
    """Where a trial stands in its life."""

    DRAFT = "draft"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ANALYSED = "analysed"
    RELEASED = "released"
    DECIDED = "decided"
    FOLLOWED_UP = "followed_up"


class Step(StrEnum):
    """What moves a trial on."""

    FREEZE = "freeze"
    AMEND = "amend"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    STOP = "stop"
    ANALYSE = "analyse"
    RELEASE = "release"
    DECIDE = "decide"
    FOLLOW_UP = "follow_up"


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal step: from which states, and to which."""

    origins: frozenset[State]
    target: State


def _from(*origins: State, to: State) -> Transition:
    return Transition(frozenset(origins), to)


TRANSITIONS: dict[Step, Transition] = {
    Step.FREEZE: _from(State.DRAFT, to=State.READY),
    Step.AMEND: _from(State.READY, to=State.DRAFT),
    Step.START: _from(State.READY, to=State.RUNNING),
    Step.PAUSE: _from(State.RUNNING, to=State.PAUSED),
    Step.RESUME: _from(State.PAUSED, to=State.RUNNING),
    Step.COMPLETE: _from(State.RUNNING, to=State.COMPLETED),
    Step.STOP: _from(State.DRAFT, State.READY, State.RUNNING, State.PAUSED, to=State.STOPPED),
    Step.ANALYSE: _from(State.COMPLETED, State.STOPPED, to=State.ANALYSED),
    Step.RELEASE: _from(State.ANALYSED, to=State.RELEASED),
    Step.DECIDE: _from(State.RELEASED, to=State.DECIDED),
    Step.FOLLOW_UP: _from(State.DECIDED, to=State.FOLLOWED_UP),
}

STATE_NAMES: dict[State, str] = {
    State.DRAFT: _("draft"),
    State.READY: _("ready to start"),
    State.RUNNING: _("running"),
    State.PAUSED: _("paused"),
    State.COMPLETED: _("completed"),
    State.STOPPED: _("stopped"),
    State.ANALYSED: _("analysed"),
    State.RELEASED: _("released"),
    State.DECIDED: _("decided"),
    State.FOLLOWED_UP: _("followed up"),
}

_REFUSALS: dict[Step, str] = {
    Step.FREEZE: _("The protocol of a trial that is %(state)s cannot be frozen; only a draft can."),
    Step.AMEND: _(
        "Only a frozen trial that has not started can be amended; this one is %(state)s."
    ),
    Step.START: _("Only a trial that is ready can be started; this one is %(state)s."),
    Step.PAUSE: _("Only a running trial can be paused; this one is %(state)s."),
    Step.RESUME: _("Only a paused trial can be resumed; this one is %(state)s."),
    Step.COMPLETE: _("Only a running trial can be completed; this one is %(state)s."),
    Step.STOP: _("A trial that is %(state)s cannot be stopped any more."),
    Step.ANALYSE: _("A trial is analysed once it is completed or stopped; this one is %(state)s."),
    Step.RELEASE: _("Only an analysed result can be released; this trial is %(state)s."),
    Step.DECIDE: _("A decision needs a released result; this trial is %(state)s."),
    Step.FOLLOW_UP: _("Follow-up begins after the decision; this trial is %(state)s."),
}


def may_take(state: State, step: Step) -> bool:
    """Return whether the step is legal from this state."""
    return state in TRANSITIONS[step].origins


def next_state(state: State, step: Step) -> State:
    """Return the state after the step.

    Raises:
        StateError: the step is not legal from here.
    """
    if not may_take(state, step):
        raise StateError(_REFUSALS[step], state=STATE_NAMES[state])
    return TRANSITIONS[step].target


BEFORE_START = frozenset({State.DRAFT, State.READY})
UNDER_WAY = frozenset({State.RUNNING, State.PAUSED})
RESULT_KNOWN = frozenset({State.RELEASED, State.DECIDED, State.FOLLOWED_UP})
