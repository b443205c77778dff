"""transformers' `generate()`: plain, assisted by each draft in both schedules, prompt lookup."""

from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.generation.streamers import BaseStreamer

GAMMAS = (2, 4, 6)
LOOKUPS = (4, 8)
HEURISTIC_START = 5


class Runner:
    """Target and drafts in float32."""

    def __init__(self, options: dict[str, Any]) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        torch.set_num_threads(options["threads"])
        self._target = _load(options["target"])
        self._drafts = {name: _load(path) for name, path in options["drafts"].items()}
        self.versions = {"transformers": transformers.__version__, "torch": torch.__version__}
        self.modes = [
            _mode("plain"),
            *(_mode("draft", name, gamma, "constant") for name in self._drafts for gamma in GAMMAS),
            *(_mode("draft", name, HEURISTIC_START, "heuristic") for name in self._drafts),
            *(_mode("lookup", gamma=gamma) for gamma in LOOKUPS),
        ]

    def answer(self, mode: dict[str, Any], prompt_ids: list[int], max_tokens: int, deliver: Any) -> list[int]:
        """Complete greedily, EOS included."""
        ids = torch.tensor([prompt_ids])
        options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "max_new_tokens": max_tokens}
        if mode["kind"] == "lookup":
            options["prompt_lookup_num_tokens"] = mode["gamma"]
        elif mode["kind"] == "draft":
            options["assistant_model"] = self._assistant(mode)
        out = self._target.generate(ids, streamer=_Deliveries(deliver), **options)
        return list(out[0, len(prompt_ids) :].tolist())

    def _assistant(self, mode: dict[str, Any]) -> Any:
        """The heuristic schedule moves its number of tokens from call to call: each begins anew."""
        draft = self._drafts[mode["draft"]]
        constant = mode["schedule"] == "constant"
        draft.generation_config.num_assistant_tokens = mode["gamma"]
        draft.generation_config.num_assistant_tokens_schedule = mode["schedule"]
        draft.generation_config.assistant_confidence_threshold = 0.0 if constant else 0.4  # 0.4: its default
        return draft


class _Deliveries(BaseStreamer):
    """Hands tokens on; the first call brings the prompt."""

    def __init__(self, deliver: Any) -> None:
        self._deliver = deliver
        self._began = False

    def put(self, value: torch.Tensor) -> None:
        """Take what is new."""
        if self._began:
            self._deliver(value.flatten().tolist())
        self._began = True

    def end(self) -> None:
        """Nothing to close."""


def _load(path: str) -> Any:
    network: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True).eval()
    eos, pad = network.generation_config.eos_token_id, network.generation_config.pad_token_id
    network.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=pad or 0)
    return network


def _mode(kind: str, draft: str = "", gamma: int = 0, schedule: str = "") -> dict[str, Any]:
    return {"kind": kind, "draft": draft, "gamma": gamma, "schedule": schedule}
