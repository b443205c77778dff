"""What a draft says that it would have brought is what it brings when it is played from every place."""

from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from specsched.engine.gpu.choose import BUFFERED
from specsched.engine.kv import KVRow
from specsched.engine.law import History, Span, shape_logits
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.proposers.past import Past
from specsched.engine.row import Row
from specsched.policy.base import Arm, Retrospective
from specsched.policy.counterfactual import Retraced
from specsched.policy.succession import Succession
from specsched.records import NO_DRAFT, Beta, Candidate, Counterfactual, Plan, Sampling
from tests.helpers.tiny import ScriptedController, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network(seed=4)
NETWORKS = {"d": perturbed(TARGET, 0.15), "other": perturbed(TARGET, 0.5, seed=2)}
DEPTH, TOKENS = 3, 30
PROMPT = [5, 9, 5, 9, 2, 7, 5, 9]
PLAN = Plan(candidates=tuple(Candidate(name, (Beta(1, 1),) * DEPTH) for name in ("d", "ngram")))
GREEDY = Sampling(temperature=0.0)
PENALISED = Sampling(temperature=0.0, repetition_penalty=1.3, logit_bias={3: 2.0})
SEEDED = Sampling(temperature=1.5, top_k=20, seed=5)  # warm enough for noise to choose other tokens than arg max
SAMPLED = Sampling(temperature=0.8, top_k=12, repetition_penalty=1.2, frequency_penalty=0.3)


@dataclass
class Asking(ScriptedController):
    """Asks for every draft in hindsight."""

    asked: tuple[str, ...] = ("d", "ngram", "gone")
    spent: list[float] = field(default_factory=list)

    def rivals(self, request_id, context_tokens):
        return self.asked

    def looked_back(self, request_id, context_tokens, seconds, outcome):
        assert request_id in self.live
        self.spent.append(seconds)


class Counting(LanguageModel):
    """Knows how many tokens it has taken in."""

    taken = 0

    def forward(self, rows, tokens, *, keep_last=False):
        self.taken += sum(map(len, tokens))
        return super().forward(rows, tokens, keep_last=keep_last)


def model(network=NETWORKS["d"], kind=LanguageModel):
    return kind(perturbed(network, 0.0), "m", max_rows=8)


def composites():
    return {
        "stopping": DraftModelProposer("stopping", model(), 0.2),
        "copying": CompositeProposer("copying", [NgramProposer("n", 3), DraftModelProposer("m", model(), 0.2)]),
    }


def ended(controller, style=None, extra=None, **fields):
    one = replace(job(PROMPT, **{"max_tokens": TOKENS} | fields), plan=PLAN)
    engine = engine_of(TARGET, NETWORKS, controller, extra=extra, style=style)
    out = run(engine, [one])["r"]
    engine.check_integrity()
    return out


def first_round(draft, start, completion, sampling):
    """Really begin a round at a place."""
    controller = always(draft, DEPTH)
    engine = engine_of(TARGET, NETWORKS, controller, extra=composites())
    run(engine, [job(PROMPT, generated_ids=tuple(completion[:start]), max_tokens=TOKENS, sampling=sampling)])
    return controller.observed["r"][0].num_accepted


@pytest.mark.parametrize("draft", ["d", "ngram", "stopping", "copying"])
@pytest.mark.parametrize("sampling", [GREEDY, PENALISED, SEEDED])
def test_of_coupled_tokens_it_is_what_rounds_from_every_place_accept(draft, sampling):
    out = ended(Asking(asked=(draft,)), extra=composites(), sampling=sampling)
    [outcome] = out.last.hindsight
    assert outcome.rounds == TOKENS - DEPTH + 1
    # At the last place one token less is drafted: a round never commits beyond max_tokens.
    played = [first_round(draft, start, out.tokens, sampling) for start in range(TOKENS - DEPTH)]
    for position, mass in enumerate(outcome.accepted, start=1):
        assert 0 <= mass - sum(accepted >= position for accepted in played) <= 1
    assert outcome.accepted[0] < outcome.rounds, "the test must be able to tell"


def law(network, tokens):
    """The law after all of them, worked out anew: penalties over prompt and completion, temperature, top_k."""
    with torch.no_grad():
        logits = network(torch.tensor([tokens])).logits[0, -1].double()
    said = tokens[len(PROMPT) :]
    for token in set(tokens):
        logits[token] *= SAMPLED.repetition_penalty if logits[token] < 0 else 1 / SAMPLED.repetition_penalty
        logits[token] -= SAMPLED.frequency_penalty * said.count(token)
    logits /= SAMPLED.temperature
    logits[logits < logits.topk(SAMPLED.top_k).values[-1]] = -torch.inf
    return logits.softmax(-1)


PLAYED = {"plain": lambda _row, _round: Arm(NO_DRAFT, 0), "speculating": lambda _row, turn: Arm("other", turn % 3 + 1)}


@pytest.mark.parametrize("played", PLAYED)
@pytest.mark.parametrize("style", [None, BUFFERED], ids=["host", "device"])
@pytest.mark.parametrize("resumed", [0, 4])
def test_of_sampled_tokens_it_weighs_both_laws(played, style, resumed):
    before = tuple(range(20, 20 + resumed))
    out = ended(Asking(PLAYED[played], asked=("d",)), style, sampling=SAMPLED, generated_ids=before, noise_seed=3)
    text = [*PROMPT, *before, *out.tokens]
    weights = []
    for place in range(len(PROMPT) + resumed, len(text)):
        p, q = (law(network, text[:place])[text[place]].item() for network in (TARGET, NETWORKS["d"]))
        weights.append(min(1.0, q / p))
    [outcome] = out.last.hindsight
    assert outcome.accepted == pytest.approx(Retraced.along(weights, DEPTH).outcome("d").accepted, rel=1e-4)
    assert 0 < outcome.accepted[-1] < outcome.rounds == TOKENS - resumed - DEPTH + 1


# ------------------------------------------------------------------------------------------ without bias

VOCABULARY, AHEAD = 3, 2
SMALL = tiny_network(vocab=VOCABULARY, seed=1, spread=0.3)
DRAFT = perturbed(SMALL, 1.0)
WARM = Sampling(temperature=1.3, repetition_penalty=1.2)
SAID = {"copied": (0, 1, 2, 0, 1), "drafted": (0, 1, 2)}
STOP_BELOW = 0.45


def row_of(prompt, said=()):
    one = job(prompt, sampling=WARM)
    history = History(one, frozenset(), VOCABULARY, torch.device("cpu"))
    row = Row(one, lambda _chunk: None, history, KVRow(0), 8, frozenset(), 0.0)
    for token in said:
        row.commit([token], [small_law(SMALL, row)[token]])
    return row


def small_law(network, row):
    with torch.no_grad():
        logits = network(torch.tensor([row.tokens])).logits[0, -1:]
    return shape_logits(logits, [Span(WARM, row.history, 1)]).softmax(-1)[0].tolist()


def true_survival(prompt, copied):
    """S_1, S_2 by the engine's rule, over all that may be drafted: x ~ q stands with chance min(1, p(x) / q(x))."""
    found = np.zeros(AHEAD)
    for said in product(range(VOCABULARY), repeat=AHEAD):
        chance, sure = 1.0, 1.0
        for j, token in enumerate(said):
            row = row_of(prompt, said[:j])
            p, q = small_law(SMALL, row), small_law(DRAFT, row)
            if copied:
                q = [float(other == copied[j]) for other in range(VOCABULARY)]
            chance *= min(p[token], q[token]) * (sure >= STOP_BELOW)
            sure *= max(q)
            found[j] += chance / VOCABULARY ** (AHEAD - 1 - j)
    return found


@pytest.mark.parametrize("which", SAID)
def test_what_it_says_of_sampled_tokens_is_right_on_the_average(which):
    """Exact enumeration of all completions, for what copies, asks a model elsewhere, and stops where that is unsure."""
    prompt = SAID[which]
    own = DraftModelProposer("m", LanguageModel(perturbed(DRAFT, 0.0), "m", max_rows=1), STOP_BELOW)
    proposer = CompositeProposer("c", [NgramProposer("n"), own])
    found = np.zeros(AHEAD)
    for said in product(range(VOCABULARY), repeat=AHEAD):
        row = row_of(prompt, said)
        retraced = proposer.look_back(Past(row, AHEAD))
        found += np.prod(row.chances) * np.array(retraced.outcome("c").accepted)
        proposer.forget(row)
    truth = true_survival(prompt, copied=(2, 0) if which == "copied" else ())
    assert found == pytest.approx(truth, abs=1e-6)
    assert 0 < truth[1] < truth[0] < 1


# ------------------------------------------------------------------------------------------ what it takes


def test_a_text_is_read_once_with_the_weights_that_drafts_share():
    shared = model(kind=Counting)
    drafts = {name: DraftModelProposer(name, shared, share) for name, share in (("general", 0.0), ("unsure", 0.5))}
    out = ended(Asking(asked=(*drafts, "copying")), extra=drafts | composites())
    general, unsure, copying = out.last.hindsight
    assert shared.taken == len(PROMPT) + TOKENS - 1
    assert general.accepted[0] == unsure.accepted[0]
    assert general.accepted[-1] > unsure.accepted[-1]
    assert copying.accepted[0] > 0


def test_positions_that_are_not_drafted_are_told_apart():
    [looked_up, all_drafted] = ended(Asking(asked=("ngram", "d"))).last.hindsight
    assert all(one == looked_up.undrafted[0] > 0 for one in looked_up.undrafted), "it drafts all or nothing"
    assert looked_up.undrafted[0] <= looked_up.rejected[0]
    assert all_drafted.undrafted == ()
    [unsure] = ended(Asking(asked=("stopping",)), extra=composites()).last.hindsight
    assert all(one <= other for one, other in pairwise((0.0, *unsure.undrafted)))
    assert unsure.undrafted[0] == 0 < unsure.undrafted[-1]


def test_it_changes_no_token_and_is_told_with_the_last_chunk_alone():
    for sampling in (GREEDY, SAMPLED):
        controller = Asking()
        out = ended(controller, sampling=sampling)
        assert out.tokens == ended(ScriptedController(), sampling=sampling).tokens
        assert [bool(chunk.hindsight) for chunk in out.chunks] == [False] * (len(out.chunks) - 1) + [True]
        assert len(controller.spent) == 2, "a draft that is not in memory is left out"


def test_a_completion_shorter_than_a_round_says_nothing():
    assert ended(Asking(), max_tokens=DEPTH - 1).last.hindsight == ()
    assert ended(Asking(), sampling=SAMPLED, generated_ids=tuple(range(TOKENS - 2))).last.hindsight == ()


def test_settings_that_change_pass_the_question_on():
    succession = Succession(lambda _settings: Asking())
    assert isinstance(succession, Retrospective)
    succession.begin("r", PLAN, sampled=False)
    assert succession.rivals("r", 10) == ("d", "ngram", "gone")
    succession.looked_back("r", 10, 0.5, Counterfactual("d", 0.0, (), ()))
    assert succession.rivals("unknown", 10) == ()
