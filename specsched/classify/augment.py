"""Variants of training prompts that keep the class and lose the template."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from specsched.classify.examples import Example

_MARKER = re.compile(
    r"^(question|problem|answer|text|passage|abstract|context|let's think step by step|show your work)\b[:.]?[ \n]?",
    re.IGNORECASE | re.MULTILINE,
)
_OPENINGS = ("Please ", "Can you help me? ", "Hi! ", "Hello, ", "I have a request. ", "")
_CLOSINGS = (" Thanks!", " Thank you.", "\n\nBe concise.", " please", "")
_SYSTEM = "You are a helpful assistant.\n\n"


def augmented(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """Return one variant of each example."""
    return [replace(example, text=rng.choice(_VARIANTS)(example.text, rng)) for example in examples]


def _stripped(text: str, _: random.Random) -> str:
    """Without the words that mark a template's parts."""
    return _MARKER.sub("", text).strip() or text


def _shortened(text: str, rng: random.Random) -> str:
    """The beginning alone; what is asked mostly stands there."""
    return text[: rng.randint(60, 600)]


def _wrapped(text: str, rng: random.Random) -> str:
    """As a chat client sends it: greetings around it, a turn marker or a system prompt before it."""
    polite = rng.choice(_OPENINGS) + text + rng.choice(_CLOSINGS)
    return rng.choice((polite, polite, f"User: {polite}\nAssistant:", _SYSTEM + polite))


def _careless(text: str, _: random.Random) -> str:
    """As people type: lower case, no mark at the end."""
    return text.lower().rstrip(".?!: \n") or text


_VARIANTS = (_stripped, _shortened, _wrapped, _careless)
