"""Proof 2: sampled output has the target's law, whatever proposes and samples; and planted faults fail it.

False alarms: with fixed seeds none; over fresh seeds each case fails at 1 in 1,000.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from specsched.engine import engine as engine_module
from specsched.engine.draw import draw
from specsched.engine.law import shape_logits
from specsched.engine.noise import Purpose, uniform
from specsched.engine.proposers.base import Draft, Proposer
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.drawing import Drawing
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.engine.verify import Verdict, verify
from specsched.policy.base import Arm
from specsched.records import Sampling
from tests.helpers.laws import Law, p_value, reference_law, total_variation
from tests.helpers.tiny import ScriptedController, always, engine_of, job, perturbed, run, tiny_network

VOCAB, LENGTH, ROWS = 4, 3, 128
PROMPT = (1, 2, 1, 2, 1)  # repeats, so that n-grams have something to propose
TRIALS = 4_000
ALPHA = 1e-3

TARGET = tiny_network(vocab=VOCAB, seed=3, spread=0.25)
DRAFT = perturbed(TARGET, 0.8)

SAMPLERS = {
    "temperature": Sampling(temperature=1.3),
    "top_k": Sampling(top_k=2),
    "top_p": Sampling(top_p=0.8),
    "min_p": Sampling(min_p=0.25),
    "penalties": Sampling(repetition_penalty=1.4, presence_penalty=0.3, frequency_penalty=0.5),
    "everything": Sampling(temperature=0.8, top_k=3, top_p=0.95, repetition_penalty=1.2, logit_bias={0: 0.7}),
}
LAWS = {name: reference_law(TARGET, PROMPT, sampling, LENGTH) for name, sampling in SAMPLERS.items()}


def mixed(request_id: str, round_index: int) -> Arm:
    """Another draft and another gamma from row to row and from round to round."""
    return (Arm("d", 3), Arm("ngram", 2), Arm("none", 0), Arm("d", 1))[(int(request_id) + 3 * round_index) % 4]


CONTROLLERS = {
    "draft": lambda: always("d", 3),
    "ngram": lambda: always("ngram", 3),
    "none": lambda: always("none", 0),
    "mixed": lambda: ScriptedController(mixed),
}


def sample(sampling: Sampling, controller: ScriptedController, trials: int = TRIALS, **engine) -> list[tuple[int, ...]]:
    """Completions of independent requests, many to a batch."""
    settings = EngineSettings(max_rows=ROWS, prefill_chunk_tokens=ROWS * len(PROMPT))
    tested = engine_of(TARGET, {"d": DRAFT}, controller, settings=settings, **engine)
    jobs = [
        job(PROMPT, request_id=str(i), sampling=sampling, noise_seed=i, max_tokens=LENGTH, ignore_eos=True)
        for i in range(trials)
    ]
    return [tuple(out.tokens) for out in run(tested, jobs).values()]


@pytest.mark.parametrize(
    ("proposer", "sampler"),
    [
        ("draft", "temperature"),
        ("draft", "top_k"),
        ("draft", "everything"),
        ("mixed", "top_p"),
        ("mixed", "min_p"),
        ("mixed", "penalties"),
    ],
)
def test_completions_have_the_targets_law(proposer: str, sampler: str) -> None:
    drawn = sample(SAMPLERS[sampler], CONTROLLERS[proposer]())
    assert p_value(LAWS[sampler], drawn) > ALPHA
    assert total_variation(LAWS[sampler], drawn) < 0.06


def proposers() -> dict[str, Proposer]:
    """Those that a model is wrapped in: a composite, and one that stops where it is unsure."""
    copied, stopping = (engine_of(TARGET, {"d": DRAFT})._proposers["d"].model for _ in range(2))
    for model in (copied, stopping):
        model.kv._max_rows = ROWS
    return {
        "composite": CompositeProposer("composite", [NgramProposer("n", 3), DraftModelProposer("m", copied)]),
        "stopping": DraftModelProposer("stopping", stopping, 0.9),
    }


@pytest.mark.parametrize("sampler", ["temperature", "everything"])
@pytest.mark.parametrize("proposer", ["composite", "stopping"])
def test_copying_first_and_stopping_when_unsure_leave_the_law_alone(proposer: str, sampler: str) -> None:
    controller = always(proposer, 3)
    drawn = sample(SAMPLERS[sampler], controller, extra=proposers())
    assert p_value(LAWS[sampler], drawn) > ALPHA
    lengths = {
        record.gamma for records in controller.observed.values() for record in records if record.planned_gamma == 2
    }
    assert lengths == ({1} if proposer == "stopping" else {2})


@pytest.mark.parametrize("proposer", ["ngram", "none"])
def test_so_have_those_of_every_other_proposer(proposer: str) -> None:
    drawn = sample(SAMPLERS["everything"], CONTROLLERS[proposer]())
    assert p_value(LAWS["everything"], drawn) > ALPHA


def test_and_those_of_seeded_requests_over_many_seeds() -> None:
    settings = EngineSettings(max_rows=ROWS, prefill_chunk_tokens=ROWS * len(PROMPT))
    tested = engine_of(TARGET, {"d": DRAFT}, ScriptedController(mixed), settings=settings)
    seeded = replace(SAMPLERS["top_p"], seed=1)
    jobs = [job(PROMPT, request_id=str(i), sampling=seeded, noise_seed=i, max_tokens=LENGTH) for i in range(TRIALS)]
    assert p_value(LAWS["top_p"], [tuple(out.tokens) for out in run(tested, jobs).values()]) > ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("proposer", CONTROLLERS)
def test_at_length(sampler: str, proposer: str) -> None:
    drawn = sample(SAMPLERS[sampler], CONTROLLERS[proposer](), trials=40_000)
    assert p_value(LAWS[sampler], drawn) > ALPHA
    assert total_variation(LAWS[sampler], drawn) < 0.02


# ----------------------------------------------------------------------------------- the check of the checker


class RawLaw(Drawing):
    """Fault: draws after top-k, but says that it drew from the raw law."""

    def _draw(self, logits) -> Tensor:
        shaped = super()._draw(logits)
        self._laws[-1] = logits.softmax(-1)
        return shaped


class GreedyDraft(Drawing):
    """Fault: proposes the arg max, but says that it drew from the law."""

    def _draw(self, logits) -> Tensor:
        shaped = super()._draw(logits)
        for tokens, law in zip(self._tokens, self._laws[-1], strict=True):
            tokens[-1] = int(law.argmax())
        return shaped


class Picky(Drawing):
    """Fault: holds back a token because its own probability is low."""

    def drafts(self) -> list[Draft]:
        return [self._confident(draft) for draft in super().drafts()]

    def _confident(self, draft: Draft) -> Draft:
        chance = draft.law[range(len(draft.tokens)), draft.tokens].tolist()
        keep = next((i for i, p in enumerate(chance) if p < 0.35), len(chance))
        return Draft(draft.tokens[:keep], draft.law[:keep])


@pytest.mark.parametrize(
    ("fault", "sampler"),
    [(RawLaw, "top_k"), (GreedyDraft, "temperature"), (Picky, "temperature")],
)
def test_a_proposer_that_misstates_its_law_is_caught(fault: type[Drawing], sampler: str) -> None:
    model = engine_of(TARGET, {"d": DRAFT})._proposers["d"].model
    model.kv._max_rows = ROWS
    drawn = sample(SAMPLERS[sampler], always("d", 3), extra={"d": DraftModelProposer("d", model, begin=fault)})
    assert p_value(LAWS[sampler], drawn) < ALPHA


class SecondThoughts(CompositeProposer):
    """Fault: copies where what the model has drawn is unlikely."""

    def propose(self, rows, gammas) -> list[Draft]:
        copies, drafts = (proposer.propose(rows, gammas) for proposer in self.proposers)
        pairs = zip(copies, drafts, strict=True)
        return [c if c.tokens and d.law[0, d.tokens[0]] < 0.5 else d for c, d in pairs]


def test_a_composite_that_chooses_by_what_was_drawn_is_caught() -> None:
    faulty = SecondThoughts("d", proposers()["composite"].proposers)
    drawn = sample(SAMPLERS["temperature"], always("d", 3), extra={"d": faulty})
    assert p_value(LAWS["temperature"], drawn) < ALPHA


def bonus_from_wrong_position(logits, rows, drafts) -> list[Verdict]:
    """Fault: the token after a full acceptance comes from the position before."""
    width = logits.shape[1]
    return verify(logits[:, [*range(width - 1), max(0, width - 2)]], rows, drafts)


def accept_off_by_one(logits, rows, drafts) -> list[Verdict]:
    """Fault: the rejected token itself is committed."""
    verdicts = verify(logits, rows, drafts)
    return [
        v if v.num_accepted == len(d.tokens) else Verdict([*v.tokens[:-1], d.tokens[v.num_accepted]], v.num_accepted)
        for v, d in zip(verdicts, drafts, strict=True)
    ]


def residual_forgotten(logits, rows, drafts) -> list[Verdict]:
    """Fault: the recovered token is drawn from p instead of norm((p − q)₊)."""
    verdicts = verify(logits, rows, drafts)
    out = []
    for verdict, of_row, row, draft in zip(verdicts, logits, rows, drafts, strict=True):
        n = verdict.num_accepted
        shaped = shape_logits(of_row[n : n + 1], [row.span(draft.tokens[:n], 1)])[0]
        (token,) = draw(shaped.softmax(-1)[None], [uniform(row.job.noise_seed, row.position + n, Purpose.DRAFT)])
        out.append(Verdict([*verdict.tokens[:-1], token], n) if n < len(draft.tokens) else verdict)
    return out


@pytest.mark.parametrize("fault", [bonus_from_wrong_position, accept_off_by_one, residual_forgotten])
def test_a_verifier_that_errs_is_caught(fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "verify", fault)  # the one place for a patch: the fault is in the loop itself
    drawn = sample(SAMPLERS["temperature"], always("d", 3))
    assert p_value(LAWS["temperature"], drawn) < ALPHA


def test_the_checker_accepts_its_own_law() -> None:
    law: Law = LAWS["temperature"]
    torch.manual_seed(0)
    index = torch.multinomial(torch.tensor(list(law.values())), TRIALS, replacement=True)
    outcomes = list(law)
    assert p_value(law, [outcomes[i] for i in index]) > ALPHA
