"""Only legal steps, and every state can be reached."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trials.domain.errors import StateError
from trials.domain.life_cycle import RESULT_KNOWN, STATE_NAMES, State, Step, may_take, next_state

LIFE = (
    (Step.FREEZE, State.READY),
    (Step.START, State.RUNNING),
    (Step.PAUSE, State.PAUSED),
    (Step.RESUME, State.RUNNING),
    (Step.COMPLETE, State.COMPLETED),
    (Step.ANALYSE, State.ANALYSED),
    (Step.RELEASE, State.RELEASED),
    (Step.DECIDE, State.DECIDED),
    (Step.FOLLOW_UP, State.FOLLOWED_UP),
)


def test_a_whole_life():
    state = State.DRAFT
    for step, expected in LIFE:
        state = next_state(state, step)
        assert state is expected


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("state", list(State))
def test_an_illegal_step_says_why(state: State, step: Step):
    if may_take(state, step):
        assert next_state(state, step) in State
        return
    with pytest.raises(StateError) as refusal:
        next_state(state, step)
    assert STATE_NAMES[state] in str(refusal.value)


class Lives(RuleBasedStateMachine):
    """Any order of attempts keeps these promises."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.DRAFT
        self.taken: list[Step] = []

    @rule(step=st.sampled_from(list(Step)))
    def attempt(self, step: Step) -> None:
        try:
            self.state = next_state(self.state, step)
        except StateError:
            return
        self.taken.append(step)

    @invariant()
    def a_result_is_known_only_after_freeze_analysis_and_release(self) -> None:
        if self.state in RESULT_KNOWN:
            order = [self.taken.index(s) for s in (Step.ANALYSE, Step.RELEASE)]
            assert order == sorted(order)

    @invariant()
    def nothing_runs_unfrozen(self) -> None:
        if self.state in {State.RUNNING, State.PAUSED, State.COMPLETED}:
            assert Step.FREEZE in self.taken
            assert Step.START in self.taken


TestLives = Lives.TestCase
