"""What a draft says that it would have brought is what it brings when it is played from every place."""

from dataclasses import dataclass, field, replace

import pytest

from specsched.policy.base import Retrospective
from specsched.policy.succession import Succession
from specsched.records import Beta, Candidate, Plan, Sampling
from tests.helpers.tiny import ScriptedController, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network(seed=4)
NETWORKS = {"d": perturbed(TARGET, 0.3), "other": perturbed(TARGET, 0.5, seed=2)}
DEPTH, TOKENS = 3, 30
PROMPT = [5, 9, 5, 9, 2, 7, 5, 9]
PLAN = Plan(candidates=tuple(Candidate(name, (Beta(1, 1),) * DEPTH) for name in ("d", "ngram")))


@dataclass
class Asking(ScriptedController):
    """Decodes plainly, and asks for every draft in hindsight."""

    asked: tuple[str, ...] = ("d", "ngram", "gone")
    spent: list[float] = field(default_factory=list)

    def rivals(self, request_id, context_tokens):
        return self.asked

    def looked_back(self, request_id, context_tokens, seconds):
        assert request_id in self.live
        self.spent.append(seconds)


def ended(controller, **fields):
    one = replace(job(PROMPT, max_tokens=TOKENS, **fields), plan=PLAN)
    engine = engine_of(TARGET, NETWORKS, controller)
    out = run(engine, [one])["r"]
    engine.check_integrity()
    return out


def first_round(draft, start, completion):
    """Really begin a round at a place."""
    controller = always(draft, DEPTH)
    run(engine_of(TARGET, NETWORKS, controller), [job(PROMPT + completion[:start], max_tokens=TOKENS - start)])
    return controller.observed["r"][0].num_accepted


@pytest.mark.parametrize("draft", ["d", "ngram"])
def test_hindsight_is_what_rounds_from_every_place_accept(draft):
    out = ended(Asking(asked=(draft,)))
    [outcome] = out.last.hindsight
    assert outcome.rounds == TOKENS - DEPTH + 1
    # At the last place one token less is drafted: a round never commits beyond max_tokens.
    played = [first_round(draft, start, out.tokens) for start in range(TOKENS - DEPTH)]
    for position, mass in enumerate(outcome.accepted, start=1):
        assert 0 <= mass - sum(accepted >= position for accepted in played) <= 1
    assert 0 < outcome.accepted[0] < outcome.rounds, "the test must be able to tell"


def test_it_changes_no_token_and_is_told_with_the_last_chunk_alone():
    controller = Asking()
    out = ended(controller)
    assert out.tokens == ended(ScriptedController()).tokens
    assert [bool(chunk.hindsight) for chunk in out.chunks] == [False] * (len(out.chunks) - 1) + [True]
    assert len(controller.spent) == 2, "a draft that is not in memory is left out"


def test_sampled_rows_and_edited_logits_are_left_alone():
    for sampling in (Sampling(temperature=0.8), Sampling(temperature=0.0, repetition_penalty=1.3)):
        assert ended(Asking(), sampling=sampling).last.hindsight == ()


def test_a_completion_shorter_than_a_round_says_nothing():
    one = replace(job(PROMPT, max_tokens=DEPTH - 1), plan=PLAN)
    assert run(engine_of(TARGET, NETWORKS, Asking()), [one])["r"].last.hindsight == ()


def test_settings_that_change_pass_the_question_on():
    succession = Succession(lambda _settings: Asking())
    assert isinstance(succession, Retrospective)
    succession.begin("r", PLAN, sampled=False)
    assert succession.rivals("r", 10) == ("d", "ngram", "gone")
    succession.looked_back("r", 10, 0.5)
    assert succession.rivals("unknown", 10) == ()
