"""llama.cpp: plain, each draft, its prompt lookup; greedy over its C interface, so that Python's share is small.

The loop is that of llama.cpp's own `speculative-simple`: draft greedily, verify in one batch, keep what agrees.
"""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from gguf_weights import write_gguf  # beside this file, which runs as a script's module
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

GAMMAS = (2, 4, 6)
LOOKUPS = (4, 8)
BATCH_TOKENS = 512

Propose = Callable[[Sequence[int], int], list[int]]
"""(prompt and completion, most tokens) → drafted tokens."""

_quiet = llama_cpp.llama_log_callback(lambda *_: None)


class Runner:
    """Target and drafts in Q8_0, or in F32."""

    def __init__(self, options: dict[str, Any]) -> None:
        llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        quantized = options["precision"] == "int8"
        work, threads = Path(options["work"]), options["threads"]

        def load(name: str, path: str) -> Model:
            file = work / f"{name}-{'q8_0' if quantized else 'f32'}.gguf"
            return Model(file, write_gguf(Path(path), file, quantized=quantized), threads)

        self._target = load("target", options["target"])
        self._drafts = {name: load(name, path) for name, path in options["drafts"].items()}
        self.versions = {"llama-cpp-python": llama_cpp.__version__}
        self.modes = [
            _mode("plain"),
            *(_mode("draft", name, gamma) for name in self._drafts for gamma in GAMMAS),
            *(_mode("lookup", gamma=gamma) for gamma in LOOKUPS),
        ]

    def answer(self, mode: dict[str, Any], prompt_ids: list[int], max_tokens: int, deliver: Any) -> list[int]:
        """Complete greedily, EOS included."""
        draft = self._drafts.get(mode["draft"])
        if draft is not None:
            draft.rewind(0)
        propose = self._proposer(mode, draft)
        target, eos = self._target, self._target.eos
        target.rewind(0)
        said = target.forward(prompt_ids)[-1:]
        deliver(said)
        while len(said) < max_tokens and said[-1] not in eos:
            known = len(prompt_ids) + len(said)
            drafted = propose([*prompt_ids, *said], max_tokens - len(said) - 1)
            best = target.forward([said[-1], *drafted])
            agreed = next((i for i, token in enumerate(drafted) if token != best[i]), len(drafted))
            new = best[: agreed + 1]
            ends = next((i for i, token in enumerate(new) if token in eos), len(new))
            new = new[: ends + 1]
            target.rewind(known + agreed)
            if draft is not None:
                draft.rewind(known + agreed)
            said += new
            deliver(new)
        return said

    def _proposer(self, mode: dict[str, Any], draft: "Model | None") -> Propose:
        if draft is not None:
            return lambda tokens, most: draft.propose(tokens, min(mode["gamma"], most))
        if mode["kind"] == "lookup":
            lookup = LlamaPromptLookupDecoding(max_ngram_size=2, num_pred_tokens=mode["gamma"])
            return lambda tokens, most: lookup(np.asarray(tokens, np.intc))[: max(0, most)].tolist()
        return lambda _tokens, _most: []


class Model:
    """One model with one sequence."""

    def __init__(self, file: Path, eos: frozenset[int], threads: int) -> None:
        self.eos = eos
        self.length = 0
        model = llama_cpp.llama_model_load_from_file(str(file).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = llama_cpp.llama_model_n_ctx_train(model)
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.n_threads = params.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(model, params)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self._batch = llama_cpp.llama_batch_init(BATCH_TOKENS, 0, 1)
        for i in range(BATCH_TOKENS):
            self._batch.n_seq_id[i] = 1
            self._batch.seq_id[i][0] = 0

    def forward(self, tokens: Sequence[int]) -> list[int]:
        """Take in tokens; returns the best next token after each of the last stretch."""
        best: list[int] = []
        for start in range(0, len(tokens), BATCH_TOKENS):
            best = self._stretch(tokens[start : start + BATCH_TOKENS])
        return best

    def _stretch(self, tokens: Sequence[int]) -> list[int]:
        batch = self._batch
        batch.n_tokens = len(tokens)
        several = len(tokens) > 16  # a prompt: only what follows it counts
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.length + i
            batch.logits[i] = not several or i == len(tokens) - 1
        if llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")
        self.length += len(tokens)
        shape = (1 if several else len(tokens), self._vocabulary)
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(self._context), shape)
        return list(logits.argmax(1).tolist())

    def rewind(self, length: int) -> None:
        """Forget what stands beyond."""
        if length < self.length:
            llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1)
            self.length = length

    def propose(self, tokens: Sequence[int], count: int) -> list[int]:
        """Continue greedily."""
        drafted: list[int] = []
        missing = tokens[self.length :]
        while len(drafted) < count:
            drafted += self.forward(missing)[-1:]
            missing = drafted[-1:]
        return drafted


def _mode(kind: str, draft: str = "", gamma: int = 0) -> dict[str, Any]:
    return {"kind": kind, "draft": draft, "gamma": gamma, "schedule": ""}
