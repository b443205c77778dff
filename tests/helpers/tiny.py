"""Tiny random models and the engines made of them: every architecture, no downloads."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from specsched.engine.drafts import DraftLoader, Drafts, LoadedDraft
from specsched.engine.engine import Engine
from specsched.engine.gpu.choose import Style
from specsched.engine.kv import RaggedKV
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.model import LanguageModel
from specsched.engine.profile import Measure, unmeasured
from specsched.engine.proposers.base import Proposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.settings import EngineSettings
from specsched.engine.synthetic import last_word
from specsched.policy.base import Arm, RowView
from specsched.records import NO_DRAFT, Chunk, CostGrid, Job, ModelInfo, Plan, RoundRecord, Sampling, WorkerInfo

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
_ROPE = {**_SMALL, "num_key_value_heads": 2, "intermediate_size": 48, "head_dim": 8, "tie_word_embeddings": False}

ARCHITECTURES: Mapping[str, dict[str, object]] = {
    "llama": {**_ROPE, "head_dim": 32},
    "qwen2": _ROPE,
    "qwen3": _ROPE,
    "mistral": {**_ROPE, "sliding_window": 7},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "gpt_neox": {**_SMALL, "intermediate_size": 48},
    "gemma": _ROPE,
    "gemma2": {**_ROPE, "sliding_window": 7},
    "gemma3_text": {**_ROPE, "sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
}


def tiny_network(
    kind: str = "llama",
    *,
    vocab: int = 64,
    seed: int = 0,
    spread: float = 0.6,
    max_positions: int | None = None,
    **fields: object,
) -> PreTrainedModel:
    """A random network whose laws are far from flat, so that wrong tokens show; `fields` are its configuration's."""
    torch.manual_seed(seed)
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    shape = ARCHITECTURES[kind] | ({"max_position_embeddings": max_positions} if max_positions else {}) | fields
    config = CONFIG_MAPPING[kind](vocab_size=vocab, initializer_range=spread, **special, **shape)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def perturbed(network: PreTrainedModel, scale: float, seed: int = 1) -> PreTrainedModel:
    """A copy with noise on every weight: a draft that is right often, but not always."""
    torch.manual_seed(seed)
    other = type(network)(deepcopy(network.config)).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(scale * weight.std(correction=0) * torch.randn_like(weight))
    return other


@dataclass
class ScriptedController:
    """Plays what a function of (request, round) says; records what was observed."""

    script: Callable[[str, int], Arm] = lambda _request, _round: Arm(NO_DRAFT, 0)
    observed: dict[str, list[RoundRecord]] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        self.live.add(request_id)

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        for row in rows:
            self.rounds[row.request_id] = self.rounds.get(row.request_id, -1) + 1
        return [self.script(row.request_id, self.rounds[row.request_id]) for row in rows]

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        self.observed.setdefault(request_id, []).append(round_record)

    def end(self, request_id: str) -> None:
        self.live.remove(request_id)


def always(draft: str, gamma: int) -> ScriptedController:
    """The same arm, whoever asks."""
    return ScriptedController(lambda _request, _round: Arm(draft, gamma if draft != NO_DRAFT else 0))


def engine_of(
    target: PreTrainedModel,
    networks: Mapping[str, PreTrainedModel] | None = None,
    controller: ScriptedController | None = None,
    *,
    settings: EngineSettings | None = None,
    eos: tuple[int, ...] = (),
    extra: Mapping[str, Proposer] | None = None,
    load: DraftLoader | None = None,
    make_kv: Callable[[int, int], RaggedKV] = RectangularKV,
    style: Style | None = None,
    measure: Measure = unmeasured,
    device: str = "cpu",
) -> Engine:
    """An engine over copies of given networks (it changes their attention), with an n-gram proposer beside them."""
    settings = settings or EngineSettings()
    make_kv = make_kv if style is None or style.name == "host" else BlockKV
    make_proposer = DraftModelProposer if style is None else style.proposer
    model = LanguageModel(deepcopy(target).to(device), "target", max_rows=settings.max_rows, make_kv=make_kv)
    proposers: dict[str, Proposer] = {"ngram": NgramProposer("ngram")}
    for name, network in (networks or {}).items():
        draft = LanguageModel(
            deepcopy(network).to(device), name, max_rows=settings.max_rows, vocab_size=model.vocab_size, make_kv=make_kv
        )
        proposers[name] = make_proposer(name, draft)
    proposers.update(extra or {})
    drafts = Drafts([LoadedDraft(ModelInfo(name, "model"), proposer) for name, proposer in proposers.items()], load)
    info = WorkerInfo(
        worker_id=settings.worker_id,
        target=ModelInfo("target", "target"),
        drafts=drafts.infos(),
        vocab_size=model.vocab_size,
        max_context_tokens=model.max_context_tokens,
        max_rows=settings.max_rows,
        kv_capacity_tokens=settings.kv_capacity_tokens,
        eos_token_ids=eos,
        numerics_id="test",
        costs=CostGrid(0, (), ()),
    )
    told = last_word(settings.synthetic_acceptance)
    rounds = style.rounds(model, drafts.proposers, told) if style else None
    return Engine(info, model, drafts, controller or ScriptedController(), settings, rounds=rounds, measure=measure)


def job(
    prompt: Sequence[int], *, request_id: str = "r", sampling: Sampling | None = None, noise_seed: int = 0, **fields
) -> Job:
    """A job; greedy unless told otherwise."""
    return Job(request_id, tuple(prompt), sampling or Sampling(temperature=0.0), Plan(), noise_seed, **fields)


@dataclass
class Collected:
    """What an engine delivered for one job."""

    chunks: list[Chunk] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return [token for chunk in self.chunks for token in chunk.token_ids]

    @property
    def last(self) -> Chunk:
        return self.chunks[-1]


def run(engine: Engine, jobs: Sequence[Job], max_steps: int = 10_000) -> dict[str, Collected]:
    """Submit all at once and step until nothing is left."""
    out = {job.request_id: Collected() for job in jobs}
    for each in jobs:
        engine.submit(each, out[each.request_id].chunks.append)
    for _ in range(max_steps):
        if not engine.step():
            return out
    raise AssertionError("the engine did not come to an end")
