"""Classifiers without a model."""

from specsched.classify.base import PROMPT_CLASSES
from specsched.records import ClassProbabilities


class FixedClassifier:
    """The same probabilities for every prompt: flat unless told otherwise."""

    version = "fixed"

    def __init__(
        self, probabilities: tuple[float, ...] | None = None, classes: tuple[str, ...] = PROMPT_CLASSES
    ) -> None:
        self.classes = classes
        self._answer = ClassProbabilities(classes, probabilities or (1.0 / len(classes),) * len(classes))

    def classify(self, text: str) -> ClassProbabilities:  # noqa: ARG002 - the port's signature
        """Return the fixed probabilities."""
        return self._answer
