"""Models of given shapes and random weights, made on the device: they cost what real ones cost, and say nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from specsched.engine.drafts import Drafts, LoadedDraft
from specsched.engine.engine import Engine
from specsched.engine.gpu.choose import Style
from specsched.engine.gpu.paging import follows_tables
from specsched.engine.kv.base import BLOCK_TOKENS
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import Proposer
from specsched.engine.rounds import Rounds
from specsched.engine.settings import EngineSettings
from specsched.engine.synthetic import last_word
from specsched.errors import SetupError
from specsched.policy.controller import PlannedController
from specsched.records import SYNTHETIC_PREFIX, CostGrid, ModelInfo, WorkerInfo

DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a Llama model's costs follow from."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    mlp: int
    vocab: int
    tied: bool = False
    """Whether head and embedding are the same weights."""

    def network(self, device: torch.device, dtype: torch.dtype, max_context: int) -> PreTrainedModel:
        """Make one of random weights, where it will run."""
        config = LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.width,
            intermediate_size=self.mlp,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=max_context,
            tie_word_embeddings=self.tied,
            bos_token_id=None,
            eos_token_id=None,
        )
        torch.manual_seed(0)
        with device:
            network: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        return network

    def read_numbers(self, parameters: int, kv_tokens: int) -> int:
        """Count the numbers that a forward has to read: weights but for the embedding's other lines, keys, values."""
        unread = 0 if self.tied else self.vocab * self.width
        return parameters - unread + kv_tokens * 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def head_dim(self) -> int:
        """Numbers in a key."""
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class Pairing:
    """A target and a draft."""

    target: ModelShape
    draft: ModelShape


SHAPES: Mapping[str, Pairing] = {
    "8b-1b": Pairing(
        ModelShape(layers=32, width=4096, heads=32, kv_heads=8, mlp=14336, vocab=128_256),
        ModelShape(layers=16, width=2048, heads=32, kv_heads=8, mlp=8192, vocab=128_256, tied=True),
    ),
    "tiny": Pairing(
        ModelShape(layers=2, width=32, heads=4, kv_heads=2, mlp=48, vocab=64),
        ModelShape(layers=1, width=16, heads=2, kv_heads=1, mlp=24, vocab=64),
    ),
}
"""By name; 8b-1b is Llama 3.1 8B with Llama 3.2 1B."""


def pairing_of(name: str) -> Pairing:
    """Look shapes up.

    Raises:
        SetupError: there are none of that name.
    """
    if name not in SHAPES:
        raise SetupError(f"--shapes: {name!r} is none of {', '.join(SHAPES)}")
    return SHAPES[name]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured on."""

    shape: ModelShape
    """The target's."""
    engine: Engine
    target: LanguageModel
    rounds: Rounds
    proposer: Proposer

    def read_bytes(self, kv_tokens: int) -> int:
        """Bytes that one forward of the target has to read."""
        return self.shape.read_numbers(self.target.num_parameters(), kv_tokens) * self.target.dtype.itemsize


def build(
    pairing: Pairing, device: torch.device, style: Style, *, max_rows: int, context: int, rates: tuple[float, ...]
) -> Bench:
    """Make both models and an engine around them, whose acceptance is made up.

    Args:
        pairing: The shapes.
        device: Where they compute; bfloat16 on a GPU, float32 elsewhere.
        style: How rounds run.
        max_rows: Largest batch.
        context: Tokens that a row may come to.
        rates: At which drafts are accepted, by position.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    blocks = max_rows * (context // BLOCK_TOKENS + 3) + 1

    def model(shape: ModelShape, name: str) -> LanguageModel:
        in_place = follows_tables(device, dtype, shape.head_dim)
        make_kv = partial(BlockKV, blocks=blocks, in_place=in_place)
        return LanguageModel(shape.network(device, dtype, context), name, max_rows=max_rows, make_kv=make_kv)

    target, draft = model(pairing.target, "target"), model(pairing.draft, DRAFT)
    drafts = Drafts([LoadedDraft(ModelInfo(DRAFT, "model"), style.proposer(DRAFT, draft))])
    rounds = style.rounds(target, drafts.proposers, last_word(rates))
    settings = EngineSettings(
        max_rows=max_rows,
        kv_capacity_tokens=max_rows * context,
        prefill_chunk_tokens=max_rows * context,  # all rows begin to decode together
        prefix_cache_tokens=0,
        synthetic_acceptance=rates,
    )
    info = WorkerInfo(
        worker_id="bench",
        target=ModelInfo("target", "target", target.num_parameters(), target.memory_bytes(), str(dtype)),
        drafts=drafts.infos(),
        vocab_size=target.vocab_size,
        max_context_tokens=target.max_context_tokens,
        max_rows=max_rows,
        kv_capacity_tokens=settings.kv_capacity_tokens,
        eos_token_ids=(),
        numerics_id=f"{SYNTHETIC_PREFIX}bench",
        costs=CostGrid(0, (), ()),
    )
    engine = Engine(info, target, drafts, PlannedController(), settings, rounds=rounds)
    return Bench(pairing.target, engine, target, rounds, drafts.proposers[DRAFT])
