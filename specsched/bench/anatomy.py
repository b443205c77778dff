"""Where a round's time goes: one row, plain and speculative, part by part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from cProfile import Profile
from dataclasses import dataclass
from statistics import fmean, median
from types import CodeType

from specsched.engine.base import EngineCore
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.drawing import Drawing
from specsched.engine.rounds import score
from specsched.engine.verify import verify
from specsched.records import Chunk, Job

PARTS: Mapping[str, Sequence[Callable[..., object]]] = {
    "draft: forward": (LanguageModel.catch_up, LanguageModel.step, LanguageModel.follow),
    "draft: draw": (Drawing.next, Drawing.drafts, Drawing.take),
    "target: forward": (score,),
    "accept": (verify,),
}
REST = "choose, commit, record, deliver"


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What the rounds of some requests were spent on, the first of each left out: it takes in the prompt."""

    seconds: Mapping[str, float]
    """Part → its median over rounds."""
    whole_seconds: float
    """Median of a round; slightly more than unwatched."""
    tokens: float
    """Committed a round, mean."""


def dissect(engine: EngineCore, jobs: Iterable[Job], stopwatch: Callable[[], float]) -> Anatomy:
    """Run jobs one after the other under a profiler that sees the engine's own functions only.

    Args:
        engine: Its rounds are decided on the host.
        jobs: Each longer than a round.
        stopwatch: Seconds that work takes.
    """
    rounds = [each for job in jobs for each in list(_rounds(engine, job, stopwatch))[1:]]
    assert rounds, "no request was longer than a round"
    parts = {part: median(seconds[part] for seconds, _, _ in rounds) for part in (*PARTS, REST)}
    return Anatomy(parts, median(whole for _, whole, _ in rounds), fmean(tokens for *_, tokens in rounds))


def _rounds(
    engine: EngineCore, job: Job, stopwatch: Callable[[], float]
) -> Iterable[tuple[dict[str, float], float, int]]:
    """Yield every round's parts, the whole of it, and its tokens."""
    chunks: list[Chunk] = []
    engine.submit(job, chunks.append)
    busy = True
    while busy:
        seen = len(chunks)
        profile = Profile(stopwatch, builtins=False)
        started = stopwatch()
        profile.enable()
        busy = engine.step()
        profile.disable()
        whole = stopwatch() - started
        if len(chunks) > seen:  # else a stretch of the prompt
            yield _parts(profile, whole), whole, len(chunks[-1].token_ids)


def _parts(profile: Profile, whole: float) -> dict[str, float]:
    by_code = {each.code: each.totaltime for each in profile.getstats()}
    parts = {part: sum(by_code.get(_code(work), 0.0) for work in works) for part, works in PARTS.items()}
    return {**parts, REST: whole - sum(parts.values())}


def _code(work: Callable[..., object]) -> CodeType:
    return work.__code__
