"""What rounds cost beside their models' forwards: an engine whose models cost nothing."""

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from specsched.engine.drafts import Drafts, LoadedDraft
from specsched.engine.engine import Engine
from specsched.engine.null_model import NullModel
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.settings import EngineSettings
from specsched.policy.controller import PlannedController
from specsched.records import CostGrid, Job, ModelInfo, Plan, Sampling, WorkerInfo

VOCAB_SIZE = 4096
_DRAFT = "null"
_PROMPT = tuple(range(64))
_WARM_UP = 20
_CONTEXT_TOKENS = 1 << 20
"""Enough for any number of rounds."""
_SWEPT_NUMBERS = 4 << 20
"""Float32: as much as a small model's weights, and more than a core's caches hold."""


def round_overhead(
    rows: int, gamma: int, sampling: Sampling, stopwatch: Callable[[], float], rounds: int = 200
) -> float:
    """Return seconds of a round in which everything that is drafted stands, the median over rounds.

    Before each of them the caches are swept, as models' weights do: what runs once between two forwards runs cold, and
    takes several times as long as in a loop of its own.

    Args:
        rows: Rows that run together.
        gamma: Tokens that each drafts; 0 is plain decoding.
        sampling: Of every row.
        stopwatch: Seconds that work takes.
        rounds: To take the median of, after some more.
    """
    engine, swept = _engine(rows, gamma), torch.ones(_SWEPT_NUMBERS)
    plan = Plan(_DRAFT, gamma, gamma) if gamma else Plan()
    for row in range(rows):
        job = Job(str(row), _PROMPT, sampling, plan, row, max_tokens=_CONTEXT_TOKENS // 2, ignore_eos=True)
        engine.submit(job, lambda _chunk: None)
    with engine.computing():
        for _ in range(_WARM_UP):
            engine.step()
        return median(_round(engine, swept, stopwatch) for _ in range(rounds))


def _round(engine: Engine, swept: Tensor, stopwatch: Callable[[], float]) -> float:
    swept.sum()
    started = stopwatch()
    engine.step()
    return stopwatch() - started


def _engine(rows: int, gamma: int) -> Engine:
    logits = torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(0))
    target, draft = (NullModel(logits, rows, max(len(_PROMPT), gamma + 1), _CONTEXT_TOKENS) for _ in range(2))
    drafts = Drafts([LoadedDraft(ModelInfo(_DRAFT, "model"), DraftModelProposer(_DRAFT, draft))])
    room = rows * _CONTEXT_TOKENS
    target_info = ModelInfo("null", "target")
    info = WorkerInfo(
        "null", target_info, drafts.infos(), VOCAB_SIZE, _CONTEXT_TOKENS, rows, room, (), "null", CostGrid(0, (), ())
    )
    settings = EngineSettings(max_rows=rows, kv_capacity_tokens=room, prefix_cache_tokens=0)
    return Engine(info, target, drafts, PlannedController(), settings)
