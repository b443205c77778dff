"""How an engine's rounds run, as the operator says: what has to fit together is made in one place."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from specsched.engine.device import AUTO, MakeKV
from specsched.engine.gpu.draft_model import DeviceDraftProposer
from specsched.engine.gpu.forward import StaticForward
from specsched.engine.gpu.graphs import BufferedCapture, CudaCapture, Graphs, Replayed, Uncaptured
from specsched.engine.gpu.rounds import DeviceRounds
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.marks import marks_for
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import Proposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.rounds import HostRounds, Rounds
from specsched.engine.synthetic import Told
from specsched.engine.verify import verify
from specsched.errors import PoolError

CAPTURED_KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox")
"""Architectures whose forward over static buffers is tested; others run uncaptured."""


class Style(Protocol):
    """Makes rounds and the proposers that fit them."""

    @property
    def name(self) -> str:
        """As in `workers.rounds`."""
        ...

    def proposer(self, draft_id: str, model: LanguageModel, stop_below: float = 0.0) -> Proposer:
        """Let a model draft; how unsure it may become is explained in `Drawing`."""
        ...

    def rounds(self, target: LanguageModel, proposers: Mapping[str, Proposer], told: Told) -> Rounds:
        """Let a target judge what the proposers draft."""
        ...


class HostStyle:
    """Everything is decided on the host: what a CPU does best."""

    name = "host"

    def proposer(self, draft_id: str, model: LanguageModel, stop_below: float = 0.0) -> Proposer:
        """Let a model draft."""
        return DraftModelProposer(draft_id, model, stop_below)

    def rounds(self, target: LanguageModel, proposers: Mapping[str, Proposer], told: Told) -> Rounds:
        """Let a target judge."""
        return HostRounds(target, proposers, verify, told, time.monotonic)


class DeviceStyle:
    """Everything is decided on the device."""

    def __init__(self, name: str, make_graphs: Callable[[LanguageModel], Graphs]) -> None:
        """Take what runs each model's forwards."""
        self.name = name
        self._make_graphs = make_graphs

    def proposer(self, draft_id: str, model: LanguageModel, stop_below: float = 0.0) -> Proposer:
        """Let a model draft."""
        return DeviceDraftProposer(draft_id, self._forward(model), stop_below)

    def rounds(self, target: LanguageModel, proposers: Mapping[str, Proposer], told: Told) -> Rounds:
        """Let a target judge."""
        return DeviceRounds(self._forward(target), proposers, told, marks_for(target.device))

    def _forward(self, model: LanguageModel) -> StaticForward:
        return StaticForward(model, self._make_graphs(model))


def _captured(model: LanguageModel) -> Graphs:
    return Replayed(model.id, CudaCapture()) if model.kind in CAPTURED_KINDS else Uncaptured()


BUFFERED = DeviceStyle("buffered", lambda model: Replayed(model.id, BufferedCapture()))
CAPTURED = DeviceStyle("captured", _captured)


def choose_style(name: str, device: torch.device, storage: MakeKV) -> Style:
    """Return the style of that name; `auto` captures on a GPU over blocks, and stays on the host elsewhere.

    Raises:
        PoolError: it cannot be had on this device, or with this storage.
    """
    blocks = storage is not RectangularKV
    if name == AUTO:
        return CAPTURED if device.type == "cuda" and blocks else HostStyle()
    if name == HostStyle.name:
        return HostStyle()
    if not blocks:
        raise PoolError(f"workers.rounds: {name!r} needs workers.kv_storage: blocks")
    if name == CAPTURED.name and device.type != "cuda":
        raise PoolError(f"workers.rounds: {name!r} needs a CUDA device, and models compute on {device.type}")
    return CAPTURED if name == CAPTURED.name else BUFFERED
