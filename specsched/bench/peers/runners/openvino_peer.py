"""OpenVINO GenAI: plain, draft pipelines, prompt lookup; models by `optimum-cli export openvino`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai

GAMMAS = (2, 4, 6)
LOOKUPS = (4, 8)
NGRAM = 3


class Runner:
    """Target and drafts with INT8 weights, or in float32. What its plug-in makes of activations is left to it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._threads = options["threads"]
        form = "int8" if options["precision"] == "int8" else "fp32"
        work = Path(options["work"])
        self._target = _exported(options["target"], work / f"target-{form}", form)
        self._drafts = {
            name: _exported(path, work / f"{name}-{form}", form) for name, path in options["drafts"].items()
        }
        self._pipelines: dict[tuple[str, str], Any] = {}
        self.versions = {"openvino-genai": openvino_genai.__version__, "openvino": ov.__version__}
        self.modes = [
            _mode("plain"),
            *(_mode("draft", name, gamma) for name in self._drafts for gamma in GAMMAS),
            *(_mode("lookup", gamma=gamma) for gamma in LOOKUPS),
        ]

    def answer(self, mode: dict[str, Any], prompt_ids: list[int], max_tokens: int, deliver: Any) -> list[int]:
        """Complete greedily, EOS included."""
        pipeline = self._pipeline(mode)
        config = pipeline.get_generation_config()
        config.max_new_tokens = max_tokens
        config.do_sample = False
        config.apply_chat_template = False
        if mode["kind"] != "plain":
            config.num_assistant_tokens = mode["gamma"]
        if mode["kind"] == "lookup":
            config.max_ngram_size = NGRAM
        ids = np.asarray([prompt_ids], np.int64)
        inputs = openvino_genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
        return list(pipeline.generate(inputs, config, _Deliveries(deliver)).tokens[0])

    def _pipeline(self, mode: dict[str, Any]) -> Any:
        """One per draft, made when it is first asked for."""
        key = mode["kind"], mode["draft"]
        if key not in self._pipelines:
            options: dict[str, Any] = {"INFERENCE_NUM_THREADS": self._threads}
            if mode["kind"] == "draft":
                options["draft_model"] = openvino_genai.draft_model(str(self._drafts[mode["draft"]]), "CPU")
            elif mode["kind"] == "lookup":
                options["prompt_lookup"] = True
            self._pipelines[key] = openvino_genai.LLMPipeline(str(self._target), "CPU", **options)
        return self._pipelines[key]


class _Deliveries(openvino_genai.StreamerBase):  # type: ignore[misc]  # untyped
    """Hands tokens on."""

    def __init__(self, deliver: Any) -> None:
        super().__init__()
        self._deliver = deliver

    def write(self, tokens: Any) -> Any:
        """Take one token, or what a round brought."""
        self._deliver([tokens] if isinstance(tokens, int) else list(tokens))
        return openvino_genai.StreamingStatus.RUNNING

    def end(self) -> None:
        """Nothing to close."""


def _exported(model: str, folder: Path, form: str) -> Path:
    """Export once."""
    if not (folder / "openvino_model.bin").is_file():
        command = str(Path(sys.executable).with_name("optimum-cli"))
        options = ["--model", model, "--task", "text-generation-with-past", "--weight-format", form]
        subprocess.run([command, "export", "openvino", *options, str(folder)], check=True)  # noqa: S603 - ours
    return folder


def _mode(kind: str, draft: str = "", gamma: int = 0) -> dict[str, Any]:
    return {"kind": kind, "draft": draft, "gamma": gamma, "schedule": ""}
