"""Every record that crosses a process border comes back as it went, at the ends of every range too."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.errors import InvalidRequest
from specsched.records import (
    ArmScore,
    Beta,
    Candidate,
    ChatMessage,
    ChatPrompt,
    Chunk,
    ClassProbabilities,
    Completion,
    CostGrid,
    CostPoint,
    Counterfactual,
    Decision,
    DraftCost,
    FinishReason,
    GuardBudget,
    Job,
    ModelInfo,
    Output,
    Plan,
    Request,
    RoundRecord,
    Sampling,
    SpeculationHint,
    SpeculationMetrics,
    Stopping,
    TextChunk,
    TextPrompt,
    Timings,
    TokenLogprob,
    TokenPrompt,
    Usage,
    WorkerInfo,
    WorkerLoad,
)
from specsched.v1 import common_pb2, scheduler_pb2
from specsched.wire.answer import completion_to_proto, text_chunks_to_proto
from specsched.wire.caller import answer_from_proto, decide_request_to_proto, decision_from_proto, request_to_proto
from specsched.wire.job import chunks_from_proto, chunks_to_proto, finish_from_proto, job_from_proto, job_to_proto
from specsched.wire.plan import budget_to_proto, decision_to_proto, plan_from_proto, plan_to_proto
from specsched.wire.request import request_from_proto
from specsched.wire.sampling import sampling_from_proto, sampling_to_proto
from specsched.wire.worker import (
    describe_to_proto,
    info_from_proto,
    load_from_proto,
    load_to_proto,
    reported_from_proto,
)

M = TypeVar("M", bound=Message)

CLASSES = ("chat", "code", "math")
QUICK = settings(max_examples=25, deadline=None, derandomize=True)

int32 = st.integers(-(2**31), 2**31 - 1)
count = st.integers(0, 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
uint64 = st.integers(0, 2**64 - 1)
number = st.floats(allow_nan=False)
share = st.floats(0, 1)
text = st.text(max_size=8)


def tuples(items, max_size=3):
    return st.lists(items, max_size=max_size).map(tuple)


def maybe(items):
    return st.none() | items


samplings = st.builds(
    Sampling,
    temperature=number,
    top_p=number,
    top_k=int32,
    min_p=number,
    repetition_penalty=number,
    presence_penalty=number,
    frequency_penalty=number,
    logit_bias=st.dictionaries(int32, number, max_size=3),
    seed=maybe(int64),
)
betas = st.builds(Beta, number, number)
scores = st.builds(ArmScore, text, int32, number, number, number, number, number)
plans = st.builds(
    Plan,
    draft_model=text,
    gamma=int32,
    max_gamma=int32,
    pinned=st.booleans(),
    candidates=tuples(st.builds(Candidate, text, tuples(betas), tuples(number))),
    seed=uint64,
    explored=st.booleans(),
    propensity=number,
    policy=text,
    policy_version=text,
    scores=tuples(scores),
)
jobs = st.builds(
    Job,
    request_id=text,
    prompt_ids=tuples(int32),
    sampling=samplings,
    plan=plans,
    noise_seed=uint64,
    generated_ids=tuples(int32),
    max_tokens=int32,
    min_tokens=int32,
    stop_token_ids=tuples(int32),
    ignore_eos=st.booleans(),
    logprobs=maybe(int32),
    time_limit_seconds=maybe(number),
    tenant=text,
)
rounds = st.builds(
    RoundRecord, text, int32, int32, int32, number, number, st.booleans(), int32, overlaps=tuples(number)
)
logprobs = st.builds(TokenLogprob, int32, number, tuples(st.tuples(int32, number)))
finishes = st.sampled_from(FinishReason)
chunks = st.builds(
    Chunk,
    token_ids=tuples(int32),
    logprobs=tuples(logprobs),
    round=maybe(rounds),
    finish=maybe(finishes),
    matched_token_id=maybe(int32),
    cached_tokens=int32,
    hindsight=tuples(
        st.builds(Counterfactual, text, number, tuples(number), tuples(number), tuples(number)), max_size=2
    ),
)
models = st.builds(ModelInfo, text, text, int64, int64, text, text, text, text)
points = st.builds(CostPoint, int32, int32, number)
grids = st.builds(
    CostGrid, int32, tuples(points), tuples(st.builds(DraftCost, text, number, tuples(points), number), max_size=2)
)
workers = st.builds(WorkerInfo, text, models, tuples(models, 2), int32, int32, int32, int32, tuples(int32), text, grids)
loads = st.builds(WorkerLoad, text, int32, int32, int64, int64, int64, number, int64)
budgets = st.builds(GuardBudget, text, text, st.none() | number)
probabilities = tuples(st.tuples(text, share)).map(
    lambda pairs: ClassProbabilities(tuple(name for name, _ in pairs), tuple(p for _, p in pairs))
)
some_probabilities = probabilities.filter(lambda pi: bool(pi.classes))
decisions = st.builds(Decision, some_probabilities, plans, text)
explained = st.builds(Decision, some_probabilities, plans, text, budgets)
metrics = st.builds(
    SpeculationMetrics,
    num_spec_steps=count,
    num_draft_tokens=count,
    num_accepted_draft_tokens=count,
    acceptance_histogram=tuples(count),
    acceptance_histogram_by_draft_length=st.dictionaries(int32, tuples(count), max_size=3),
)
completions = st.builds(
    Completion,
    text=text,
    token_ids=tuples(int32),
    finish_reason=finishes,
    usage=st.builds(Usage, int32, int32, int32),
    decision=decisions,
    speculation=metrics,
    timings=st.builds(Timings, number, number, number, number),
    matched_stop=maybe(text | int32),
)
text_chunks = st.builds(TextChunk, text, tuples(int32), tuples(logprobs), maybe(rounds))

ident = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
token = st.integers(0, 2**31 - 1)
some_text = st.text(min_size=1, max_size=8)
messages = st.builds(ChatMessage, st.sampled_from(("system", "user", "assistant")), some_text)
prompts = (
    st.builds(TextPrompt, some_text)
    | st.builds(TokenPrompt, st.lists(token, min_size=1, max_size=4).map(tuple))
    | st.builds(ChatPrompt, st.lists(messages, min_size=1, max_size=3).map(tuple))
)
valid_samplings = st.builds(
    Sampling,
    temperature=st.just(0.0) | st.floats(1e-4, 100),
    top_p=st.floats(0, 1, exclude_min=True),
    top_k=count,
    min_p=share,
    repetition_penalty=st.floats(0.01, 10),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    logit_bias=st.dictionaries(token, st.floats(-100, 100), max_size=3),
    seed=maybe(int64),
)
valid_stoppings = st.builds(
    Stopping,
    max_tokens=st.integers(16, 2**31 - 1),
    min_tokens=st.integers(0, 16),
    stop=tuples(some_text),
    stop_token_ids=tuples(token),
    ignore_eos=st.booleans(),
    max_time_seconds=maybe(st.floats(0, 1e6, exclude_min=True)),
)
valid_hints = st.builds(
    SpeculationHint,
    draft_model=maybe(some_text),
    num_speculative_tokens=maybe(st.integers(0, 8)),
    max_num_speculative_tokens=maybe(st.integers(8, 64)),
) | st.builds(
    SpeculationHint,
    disable=st.just(True),  # noqa: FBT003 - a strategy of one value
    draft_model=st.sampled_from((None, "none")),
    num_speculative_tokens=st.sampled_from((None, 0)),
)
requests = st.builds(
    Request,
    request_id=ident,
    prompt=prompts,
    sampling=valid_samplings,
    stopping=valid_stoppings,
    output=st.builds(Output, maybe(st.integers(0, 20)), st.booleans(), st.booleans()),
    speculation=valid_hints,
    prompt_class=maybe(st.sampled_from(CLASSES)),
    tenant=ident | st.just(""),
    priority=st.integers(-10, 10),
    deadline_seconds=maybe(number),
)


def sent(message: M) -> M:
    """What the other side parses."""
    return type(message).FromString(message.SerializeToString())


@QUICK
@given(samplings)
def test_sampling_comes_back(sampling: Sampling) -> None:
    assert sampling_from_proto(sent(sampling_to_proto(sampling))) == sampling


@QUICK
@given(jobs)
def test_a_job_comes_back_without_the_scores_which_workers_do_not_need(job: Job) -> None:
    assert job_from_proto(sent(job_to_proto(job))) == replace(job, plan=replace(job.plan, scores=()))


@QUICK
@given(st.lists(chunks, min_size=1, max_size=4))
def test_chunks_that_leave_together_come_back_one_by_one(together: list[Chunk]) -> None:
    expected = [replace(chunk, more=True) for chunk in together[:-1]] + together[-1:]
    assert list(chunks_from_proto(sent(chunks_to_proto(together)))) == expected


@QUICK
@given(workers)
def test_a_workers_description_comes_back(info: WorkerInfo) -> None:
    assert info_from_proto(sent(describe_to_proto(info, WorkerLoad("w", 0, 0, 0, 0)))) == info


@QUICK
@given(loads)
def test_a_load_is_told_field_by_field(load: WorkerLoad) -> None:
    message = sent(load_to_proto(load))
    told = {name: value for name, value in dataclasses.asdict(load).items() if name != "guard_budgets"}
    assert {name: getattr(message, name) for name in told} == told
    assert load_from_proto(message) == load


@QUICK
@given(workers, loads, st.dictionaries(text, number, max_size=3))
def test_only_schedulers_are_told_of_each_tenants_budget(
    info: WorkerInfo, load: WorkerLoad, budgets: dict[str, float]
) -> None:
    told = replace(load, guard_budgets=budgets)
    assert reported_from_proto(sent(describe_to_proto(info, told))) == told
    assert load_from_proto(sent(load_to_proto(told))) == load


@QUICK
@given(plans)
def test_a_plan_comes_back_with_its_scores_for_callers(plan: Plan) -> None:
    assert plan_from_proto(sent(plan_to_proto(plan, scores=True))) == plan
    assert not plan_to_proto(plan).scores


@QUICK
@given(requests)
def test_a_valid_request_comes_back_with_the_deadline_of_its_call(request: Request) -> None:
    message = sent(request_to_proto(request))
    assert request_from_proto(message, CLASSES, request.deadline_seconds) == request


@QUICK
@given(requests)
def test_a_request_to_decide_comes_back_without_output_and_priority(request: Request) -> None:
    message = sent(decide_request_to_proto(request))
    expected = replace(request, output=Output(), priority=0)
    assert request_from_proto(message, CLASSES, request.deadline_seconds) == expected


@QUICK
@given(explained)
def test_a_decision_comes_back_with_its_whole_plan_and_whose_budget_it_is(decision: Decision) -> None:
    assert decision.guard is not None
    message = scheduler_pb2.DecideResponse(
        decision=decision_to_proto(decision),
        plan=plan_to_proto(decision.plan, scores=True),
        guard=budget_to_proto(decision.guard),
    )
    assert decision_from_proto(sent(message)) == decision
    assert message.decision.prompt_class == decision.prompt_class


@QUICK
@given(completions)
def test_a_completion_comes_back_with_its_decision_in_short(completion: Completion) -> None:
    plan = completion.decision.plan
    short = Plan(
        draft_model=plan.draft_model,
        gamma=plan.gamma,
        explored=plan.explored,
        policy=plan.policy,
        policy_version=plan.policy_version,
    )
    expected = replace(completion, decision=replace(completion.decision, plan=short))
    message = sent(completion_to_proto("r1", completion))
    assert answer_from_proto(message) == expected
    assert message.complete.request_id == "r1"
    told, figures = message.complete.speculative_decoding, completion.speculation
    assert told.mean_acceptance_length == figures.mean_acceptance_length
    assert told.draft_acceptance_rate == figures.draft_acceptance_rate


@QUICK
@given(text_chunks)
def test_a_text_chunk_comes_back_with_its_round_only_where_asked_for(chunk: TextChunk) -> None:
    assert answer_from_proto(sent(text_chunks_to_proto([chunk], include_round=True))) == chunk
    assert answer_from_proto(sent(text_chunks_to_proto([chunk], include_round=False))) == replace(chunk, round=None)


def test_unset_fields_mean_the_defaults() -> None:
    message = scheduler_pb2.GenerateRequest(text="hi")
    request = request_from_proto(message, CLASSES)
    assert request == Request(request_id=request.request_id, prompt=TextPrompt("hi"))
    assert sampling_from_proto(common_pb2.SamplingParams()) == Sampling()
    assert finish_from_proto(common_pb2.FINISH_REASON_UNSPECIFIED) is None


def test_zero_is_not_unset() -> None:
    request = Request(
        request_id="r",
        prompt=TextPrompt("hi"),
        sampling=Sampling(temperature=0.0, seed=0),
        output=Output(logprobs=0),
        speculation=SpeculationHint(num_speculative_tokens=0, max_num_speculative_tokens=0),
    )
    assert request_from_proto(sent(request_to_proto(request)), CLASSES) == request


def test_a_request_without_an_id_is_given_a_new_one_each_time() -> None:
    message = scheduler_pb2.GenerateRequest(text="hi")
    first, second = (request_from_proto(message, CLASSES).request_id for _ in range(2))
    assert first
    assert second
    assert first != second


VALID = Request(request_id="r", prompt=TextPrompt("hi"))


@pytest.mark.parametrize("convert", [request_to_proto, decide_request_to_proto])
@pytest.mark.parametrize(
    "bad",
    [
        replace(VALID, sampling=Sampling(seed=2**63)),
        replace(VALID, sampling=Sampling(top_k=2**31)),
        replace(VALID, stopping=Stopping(max_tokens=-(2**31) - 1)),
        replace(VALID, sampling=Sampling(logit_bias={2**31: 1.0})),
        replace(VALID, prompt=TokenPrompt((2**31,))),
        replace(VALID, prompt=TextPrompt("\ud800")),
        replace(VALID, prompt=ChatPrompt((ChatMessage("user", "\udfff"),))),
        replace(VALID, request_id="\ud800"),
    ],
    ids=lambda bad: "",
)
def test_what_no_message_can_hold_is_refused_before_it_is_sent(
    convert: Callable[[Request], Message], bad: Request
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        convert(bad)
    assert [violation.field for violation in refused.value.violations] == ["request"]
