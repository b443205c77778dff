"""A request once it is decided: what was asked, read and chosen, and what rounds cost where it will run."""

from dataclasses import dataclass, replace

from specsched.policy.base import Hindsight, Observation
from specsched.policy.cost import CostModel
from specsched.records import (
    CapturedCompletion,
    Completion,
    Counterfactual,
    Decision,
    DecisionRecord,
    Job,
    Request,
    RoundRecord,
)
from specsched.scheduler.reading import Reading
from specsched.scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Case:
    """One request on its way through the sentence."""

    request: Request
    reading: Reading
    decision: Decision
    logged: DecisionRecord
    """The decision, with all that it was made from."""
    snapshot: Snapshot
    """That it was decided under."""
    costs: CostModel | None
    """Of the worker that it was decided for; None where that has profiled nothing."""

    def job(self, noise_seed: int, time_limit_seconds: float | None, trace_parent: str) -> Job:
        """Return what a worker needs to know; the time limit is what is left of the request's."""
        stopping = self.request.stopping
        return Job(
            request_id=self.request.request_id,
            prompt_ids=self.reading.token_ids,
            sampling=self.request.sampling,
            plan=replace(self.decision.plan, round_settings=self.snapshot.round_settings),
            noise_seed=noise_seed,
            max_tokens=stopping.max_tokens,
            min_tokens=stopping.min_tokens,
            stop_token_ids=stopping.stop_token_ids,
            ignore_eos=stopping.ignore_eos,
            logprobs=self.request.output.logprobs,
            time_limit_seconds=time_limit_seconds,
            tenant=self.request.tenant,
            trace_parent=trace_parent,
        )

    def observation(self, record: RoundRecord) -> Observation:
        """Return what the policy learns from a round."""
        return Observation(
            request_id=self.request.request_id,
            class_probabilities=self.decision.class_probabilities,
            sampled=not self.request.sampling.greedy,
            coupled=self.request.sampling.coupled,
            round=record,
            tenant=self.request.tenant,
        )

    def hindsight(self, outcome: Counterfactual) -> Hindsight:
        """Return what the policy learns of a draft that was not played."""
        return Hindsight(
            request_id=self.request.request_id,
            class_probabilities=self.decision.class_probabilities,
            sampled=not self.request.sampling.greedy,
            coupled=self.request.sampling.coupled,
            outcome=outcome,
        )

    def plain_seconds(self, rows: int, completion_tokens: int) -> float | None:
        """Time of a plain round of so many rows like this one."""
        if self.costs is None:
            return None
        return self.costs.verify(rows, len(self.reading.token_ids) + completion_tokens)

    def captured(self, completion: Completion) -> CapturedCompletion:
        """Return what a tenant may have agreed to have kept: what was said, without the template around it."""
        return CapturedCompletion(
            tenant=self.request.tenant,
            prompt=self.reading.said,
            completion=completion.text,
            prompt_class=self.decision.prompt_class,
            draft_model=self.decision.plan.draft_model,
            acceptance=completion.speculation.draft_acceptance_rate,
        )
