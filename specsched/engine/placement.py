"""Where an engine's models run, and how their KV is kept."""

from dataclasses import dataclass
from functools import partial

import torch
from transformers import PreTrainedModel

from specsched.engine.device import MakeKV, choose_device, choose_storage
from specsched.engine.gpu.choose import Style, choose_style
from specsched.engine.gpu.paging import follows_tables
from specsched.engine.kv.base import BLOCK_TOKENS
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.memory import head_dim_of
from specsched.engine.model import LanguageModel
from specsched.engine.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Placement:
    """The same for a target and all of its drafts."""

    settings: EngineSettings
    device: torch.device
    make_kv: MakeKV
    style: Style

    @classmethod
    def of(cls, settings: EngineSettings) -> "Placement":
        """Choose what the settings leave open."""
        device = choose_device(settings.device)
        make_kv = choose_storage(settings.kv_storage, device, settings.rounds)
        return cls(settings, device, make_kv, choose_style(settings.rounds, device, make_kv))

    def model(
        self, network: PreTrainedModel, model_id: str, *, vocab_size: int | None = None, weights: str = ""
    ) -> LanguageModel:
        """Put a network that lies on the device, and KV, together; arguments as of `LanguageModel`."""
        rows, make_kv = self.settings.max_rows, self._sized(network)
        return LanguageModel(network, model_id, max_rows=rows, vocab_size=vocab_size, weights=weights, make_kv=make_kv)

    def _sized(self, network: PreTrainedModel) -> MakeKV:
        """Give a GPU's blocks their final number, as growing takes twice the memory, and their reader."""
        if self.make_kv is not BlockKV or network.device.type == "cpu":
            return self.make_kv
        blocks = self.settings.kv_capacity_tokens // BLOCK_TOKENS + 3 * self.settings.max_rows + 1
        head_dim = head_dim_of(network.config.get_text_config())
        return partial(BlockKV, blocks=blocks, in_place=follows_tables(network.device, network.dtype, head_dim))
