"""Own wordings of prompts, drawn at random from `phrasebook.toml`.

Public prompt sets come from a few templates each, and a classifier learns the template. Here many wordings of each
class share the same materials, so that only what is asked can tell the classes apart.
"""

import random
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.examples import Example

SOURCE = "phrasebook"
FILE = Path(__file__).with_name("phrasebook.toml")

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"<([a-z]+)>")
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_PROSE_CLASSES = ("creative", "extraction", "summarization")
_SHORTEST, _LONGEST = 80, 1500


@dataclass(frozen=True, slots=True)
class Materials:
    """What prompts are about: prose for `<text>`, fenced blocks for `<code>`, talks for `<dialogue>`."""

    texts: tuple[str, ...]
    codes: tuple[str, ...]
    dialogues: tuple[str, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Self:
        """Collect the materials of training prompts; some of our own when they hold none."""
        texts = [max(e.text.split("\n\n"), key=len) for e in examples if e.prompt_class in _PROSE_CLASSES]
        codes = [block for e in examples if e.prompt_class == "code" for block in _FENCE.findall(e.text)]
        talks = [example.text for example in examples if example.prompt_class == "chat" and "\n" in example.text]
        return cls(
            tuple(text for text in texts if len(text) >= _SHORTEST) or ("The ferry was late, so nobody saw the end.",),
            tuple(codes) or ("```python\ndef double(x):\n    return 2 * x\n```",),
            tuple(talks) or ("Guest: Good evening.\nDesk: Welcome! Your name, please?",),
        )


class Phrasebook:
    """Templates per class and the values of their slots."""

    def __init__(self, classes: Mapping[str, Sequence[str]], slots: Mapping[str, Sequence[str]]) -> None:
        self._classes = classes
        self._slots = slots

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read a phrasebook; the shipped one when left out."""
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(fields["classes"], fields["slots"])

    def split(self, every: int) -> tuple[Self, Self]:
        """Take every so-manyth template of each class out: the rest, and those, to measure on other wordings."""
        last = every - 1
        rest = {c: [t for i, t in enumerate(ts) if i % every != last] for c, ts in self._classes.items()}
        taken = {c: ts[last::every] for c, ts in self._classes.items()}
        return type(self)(rest, self._slots), type(self)(taken, self._slots)

    def draw(
        self, count: int, materials: Materials, rng: random.Random, classes: Collection[str] = PROMPT_CLASSES
    ) -> list[Example]:
        """Return `count` prompts of each of these classes that there are wordings for."""
        return [
            Example(self._fill(rng.choice(templates), materials, rng), prompt_class, SOURCE)
            for prompt_class, templates in self._classes.items()
            if prompt_class in classes
            for _ in range(count)
        ]

    def _fill(self, template: str, materials: Materials, rng: random.Random) -> str:
        text = template
        while _CHOICE.search(text):
            text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
        return _SLOT.sub(lambda match: self._value(match[1], materials, rng), text)

    def _value(self, slot: str, materials: Materials, rng: random.Random) -> str:
        if slot == "text":
            return rng.choice(materials.texts)[: rng.randint(_SHORTEST, _LONGEST)]
        if slot == "code":
            return rng.choice(materials.codes)
        if slot == "dialogue":
            return rng.choice(materials.dialogues)
        return _SLOT.sub(lambda match: self._value(match[1], materials, rng), rng.choice(self._slots[slot]))
