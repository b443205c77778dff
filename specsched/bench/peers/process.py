"""A peer in a process and an environment of its own, as a contender."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from specsched.bench.engine.contender import PLAIN, Answer, Mode
from specsched.bench.reference import Question
from specsched.errors import SetupError
from specsched.pool.manifest import Pool

RUNNERS = Path(__file__).with_name("runners")
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_LAST_WORDS = 4_000


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine of others, and how its environment is made."""

    name: str
    packages: tuple[str, ...]
    """Lines for `pip install` in a fresh virtual environment."""
    precision: str
    """Nearest to our INT8: float32 · int8."""
    note: str = ""


TRANSFORMERS = Peer("transformers", ("torch transformers",), "float32", "by default our own environment")
LLAMACPP = Peer(
    "llamacpp",
    ("cmake ninja numpy gguf", "--no-binary llama-cpp-python llama-cpp-python"),
    "int8",
    "Q8_0; compiles for this CPU, about 20 minutes on two free cores",
)
OPENVINO = Peer(
    "openvino",
    ("torch", "openvino openvino-genai openvino-tokenizers optimum-intel nncf"),
    "int8",
    "INT8 weights; models by `optimum-cli export openvino`",
)
PEERS = (TRANSFORMERS, LLAMACPP, OPENVINO)


def instructions(folder: Path) -> list[str]:
    """Shell lines that make every peer's environment under a folder."""
    lines = []
    for peer in PEERS:
        lines.append(f"# {peer.name}: {peer.note}")
        lines.append(f"python3 -m venv {folder / peer.name}")
        lines += [f"{folder / peer.name / 'bin' / 'pip'} install {packages}" for packages in peer.packages]
    return lines


def find_python(peer: Peer, folder: Path, given: Mapping[str, Path]) -> Path | None:
    """Return the interpreter of a peer's environment: as given, else under the folder, else ours for transformers."""
    if peer.name in given:
        return given[peer.name]
    found = folder / peer.name / "bin" / "python"
    if found.exists():
        return found
    return Path(sys.executable) if peer is TRANSFORMERS else None


class PeerProcess:
    """One peer, loaded. Use as a context manager: it runs until then."""

    def __init__(
        self, peer: Peer, python: Path, pool: Pool, work: Path, *, threads: int, environment: Mapping[str, str]
    ) -> None:
        """Start it and wait until its models are loaded.

        Args:
            peer: Which one.
            python: Of its environment.
            pool: Whose models it runs: target and draft models.
            work: Folder for what it makes of them, and for its log.
            threads: Compute threads.
            environment: Thread policy, the same for every contender.

        Raises:
            SetupError: it ended; with its last words.
        """
        self.name = peer.name
        work.mkdir(parents=True, exist_ok=True)
        self._log = work / f"{peer.name}.log"
        folders = {str(draft.path): draft.id for draft in reversed(pool.drafts) if draft.kind == "model"}
        options = {
            "target": str(pool.target.path),
            "drafts": {name: path for path, name in reversed(folders.items())},  # of several on one folder the first
            "precision": peer.precision,
            "threads": threads,
            "work": str(work),
        }
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own interpreter
                [str(python), str(RUNNERS), f"{peer.name}_peer", json.dumps(options)],
                env={**kept, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        ready = self._read()
        self.versions: Mapping[str, str] = ready["versions"]
        self.modes = tuple(Mode(**mode) for mode in ready["modes"])

    def answer(self, question: Question, max_tokens: int, mode: Mode = PLAIN) -> Answer:
        """Ask it.

        Raises:
            SetupError: it ended; with its last words.
        """
        fields = {"kind": mode.kind, "draft": mode.draft, "gamma": mode.gamma, "schedule": mode.schedule}
        assert self._process.stdin is not None, "standard input is a pipe"
        asked = {"mode": fields, "prompt_ids": question.prompt_ids, "max_tokens": max_tokens}
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: reading says why
        answer = self._read()
        return Answer(tuple(answer.pop("tokens")), **answer)

    def __enter__(self) -> Self:
        """Nothing to do: it runs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None, "standard output is a pipe"
        line = self._process.stdout.readline()
        if not line:
            self._end()
            words = self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip().splitlines()
            raise SetupError(f"{self.name} ended: {words[-1] if words else 'without a word'} (all of it: {self._log})")
        return json.loads(line)
