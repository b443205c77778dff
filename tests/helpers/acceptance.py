"""Acceptance records to write and read back."""

from hypothesis import strategies as st

from specsched.records import (
    AcceptanceRecord,
    Beta,
    Candidate,
    ClassProbabilities,
    Counterfactual,
    DecisionRecord,
    Plan,
    RoundRecord,
    SpeculationHint,
)

CLASSES = ("chat", "code")


def decision(number=0, **fields):
    """What one request was decided under."""
    plan = Plan(
        "draft",
        3,
        8,
        pinned=False,
        candidates=(Candidate("draft", (Beta(1.5, 2.25), Beta(0.1, 0.3))), Candidate("ngram", (Beta(1.0, 1.0),))),
        seed=2**63 + 5,
        explored=True,
        propensity=0.125,
        policy="adaptive",
        policy_version="1",
    )
    known = {
        "request_id": f"r{number}",
        "tenant": "acme",
        "number": number,
        "rounds_before": 4,
        "class_probabilities": ClassProbabilities(CLASSES, (0.25, 0.75)),
        "sampled": True,
        "coupled": False,
        "hint": SpeculationHint(max_num_speculative_tokens=6),
        "drafts": ("draft", "ngram"),
        "draft_versions": ("aa", ""),
        "worker_id": "worker-0",
        "cost_version": 2,
        "running_rows": 3,
        "prompt_tokens": 17,
        "expected_tokens": 64,
        "plan": plan,
        "config_sha": "abc",
    }
    return DecisionRecord(**known | fields)


def acceptance(number=0, *, index=0, of=None, run="run", **fields):
    """One round."""
    known = {
        "run_id": run,
        "number": number,
        "unix_seconds": 1_700_000_000.25 + number,
        "decision": of or decision(),
        "round_index": index,
        "worker_id": "worker-1",
        "context_tokens": 17 + 3 * index,
        "committed_tokens": 3,
        "round": RoundRecord("draft", 3, 2, 2, 0.01, 0.02, planned_gamma=3, overlaps=(0.5, 0.25, 1 / 3)),
        "plain_seconds": 0.015,
    }
    return AcceptanceRecord(**known | fields)


def rounds_of(number, count, first, run="run"):
    """All rounds of one request."""
    of = decision(number)
    return [acceptance(first + index, index=index, of=of, run=run) for index in range(count)]


_text = st.text(max_size=8)
_share = st.floats(0, 1)
_count = st.integers(0, 2**31 - 1)
_hints = st.builds(SpeculationHint, st.booleans(), st.none() | _text, st.none() | _count, st.none() | _count)
_hazards = st.lists(st.builds(Beta, _share, _share), max_size=3).map(tuple)
_mass = st.lists(_share, max_size=3).map(tuple)
_outcomes = st.builds(Counterfactual, _text, _share, _mass, _mass, _mass)
_plans = st.builds(
    Plan,
    draft_model=_text,
    gamma=_count,
    max_gamma=_count,
    pinned=st.booleans(),
    candidates=st.lists(st.builds(Candidate, _text, _hazards), max_size=2).map(tuple),
    seed=st.integers(0, 2**64 - 1),
    explored=st.booleans(),
    propensity=_share,
    policy=_text,
    policy_version=_text,
)
decisions = st.builds(
    decision,
    number=_count,
    request_id=_text,
    tenant=_text,
    hint=_hints,
    plan=_plans,
    drafts=st.just(()) | st.just(("draft",)),
    draft_versions=st.just(()),
)
records = st.builds(
    acceptance,
    number=_count,
    of=decisions,
    worker_id=_text,
    plain_seconds=st.none() | _share,
    round=st.builds(
        RoundRecord,
        draft_model=_text,
        gamma=_count,
        num_accepted=_count,
        batch_size=_count,
        propose_seconds=_share,
        verify_seconds=_share,
        censored=st.booleans(),
        planned_gamma=_count,
        overlaps=_mass,
    ),
    hindsight=st.lists(_outcomes, max_size=2).map(tuple),
)
