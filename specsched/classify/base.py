"""The classifier's port."""

from typing import Protocol

from specsched.records import ClassProbabilities

PROMPT_CLASSES = ("chat", "code", "creative", "extraction", "math", "qa", "summarization", "translation")
"""The eight classes of the built-in classifier, in the order of its columns."""


class Classifier(Protocol):
    """Says which prompt class a prompt is of."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it knows, in the order of its probabilities."""
        ...

    @property
    def version(self) -> str:
        """Names the weights that answer now."""
        ...

    def classify(self, text: str) -> ClassProbabilities:
        """Return π for a prompt's text. Takes about a millisecond, never raises, flat when in doubt."""
        ...
