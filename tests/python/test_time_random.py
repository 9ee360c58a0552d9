"""Random events: when deadlines are noticed, and where a state was pickled, changes nothing."""

from __future__ import annotations

import pickle
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
REACTION = """
then = 'send("ops", #{ at: now, key: key, count: count, late: late, seen: add("seen", 1) })'
"""
RESOLVED = "resolved = 'send(\"ops\", #{ over: key, at: now })'\n"
RULES = ra.RuleSet.from_rules(
    {
        "absent": f"when = 's <= 2'\nby = 'k'\nabsent_for = '9m'\n{REACTION}{RESOLVED}",
        "batch": "when = 's <= 3'\nbatch = { within = '5m', idle = '2m', max = 5 }\n" + REACTION,
        "count": "when = 's == 1'\nby = 'k'\n"
        f"count = {{ at_least = 3, within = '6m', quiet = '7m' }}\n{REACTION}{RESOLVED}",
        "missing": "when = 's == 1'\nby = ['k', 't']\n"
        f"not_followed_by = {{ when = 's == 2', within = '3m' }}\n{REACTION}{RESOLVED}",
        "restarted": "when = 's == 1'\nby = 'k'\nonce = { within = '10m' }\n"
        "not_followed_by = { when = 's == 3', within = '2m', restart = true }\n" + REACTION,
        "sequence": "when = 's == 1'\nby = 'k'\nuntil = 's == 4'\n"
        f"{REACTION}[[followed_by]]\nwhen = 's == 2'\nwithin = '4m'\n"
        "[[followed_by]]\nwhen = 's == 3'\nwithin = '4m'\n",
    }
)
Step = tuple[datetime, dict[str, Any]]


def scenario(seed: int) -> list[Step]:
    """Events at times that rise, with times of their own that do not."""
    numbers = random.Random(seed)
    now, steps = NOW, []
    for _ in range(25):
        now += timedelta(seconds=numbers.choice([0, 0, 1, 30, 60, 120, 240, 900]))
        event: dict[str, Any] = {"s": numbers.randint(1, 4), "k": numbers.choice(["a", 1])}
        event["t"] = numbers.choice([True, "t"])
        if numbers.random() < 0.5:
            own = now - timedelta(seconds=numbers.choice([-60, 0, 5, 20, 90, 600]))
            event["eventTime"] = own.isoformat()
        steps.append((now, event))
    return steps


def payloads(evaluation: ra.Evaluation) -> list[Any]:
    return [action.to_dict() for action in evaluation.actions]


def evaluate_all(steps: list[Step]) -> tuple[list[Any], ra.State]:
    state, actions = ra.State(), []
    for now, event in steps:
        evaluation = RULES.evaluate(event, state=state, now=now, strict=True)
        actions += payloads(evaluation)
        state = evaluation.state
    last = RULES.fire_due(state, NOW + timedelta(days=1), strict=True)
    return actions + payloads(last), last.state


@pytest.mark.parametrize("seed", range(40))
def test_deadlines_can_be_noticed_at_any_time(seed: int) -> None:
    steps = scenario(seed)
    expected, last = evaluate_all(steps)
    numbers = random.Random(seed)
    state, actions, now = ra.State(), [], NOW
    for index, (at, event) in enumerate(steps):
        # The rules wait from their first event on.
        while index and now < at and numbers.random() < 0.7:
            now = min(at, now + timedelta(seconds=numbers.choice([0, 10, 50, 200])))
            fired = RULES.fire_due(state, now)
            actions += payloads(fired)
            state = pickle.loads(pickle.dumps(fired.state))
        evaluation = RULES.evaluate(event, state=state, now=at)
        assert all(due.at <= at for due in evaluation.fired)
        assert evaluation.state.clock == at and evaluation.state.due(at) == []
        actions += payloads(evaluation)
        state, now = pickle.loads(pickle.dumps(evaluation.state)), at
    while due := state.due():
        fired = RULES.fire_due(state, due[0].at)
        actions += payloads(fired)
        assert fired.fired and fired.state.clock == due[0].at
        state = fired.state
    assert actions == expected
    assert RULES.fire_due(state, NOW + timedelta(days=1)).state == last
    assert last.due() == []


@pytest.mark.parametrize("seed", range(20))
def test_advance_is_to_fire_what_is_due_first(seed: int) -> None:
    state = ra.State()
    for now, event in scenario(seed):
        before = pickle.dumps(state)
        both = RULES.evaluate(event, state=state, now=now)
        fired = RULES.fire_due(state, now)
        alone = RULES.evaluate(event, state=fired.state, now=now, advance=False)
        assert payloads(both) == payloads(fired) + payloads(alone)
        assert both.firings == fired.firings + alone.firings
        assert (both.matched, both.notes) == (alone.matched, alone.notes)
        assert both.state == alone.state and pickle.dumps(state) == before
        state = both.state


def test_the_scenarios_reach_every_window() -> None:
    seen = {action["rule"] for seed in range(40) for action in evaluate_all(scenario(seed))[0]}
    assert seen == set(RULES)
