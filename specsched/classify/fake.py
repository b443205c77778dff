"""Classifiers without a model, and labels that correct none."""

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


class NotedFeedback:
    """Notes every label: each is a correction of its own."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []

    @property
    def version(self) -> str:
        """The number of labels."""
        return f"{len(self.taken)} labels"

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Note a label."""
        self.taken.append((text, prompt_class, tenant))

    def roll_back(self, *, everything: bool = False) -> bool:
        """Forget the last label, or all."""
        some = bool(self.taken)
        del self.taken[0 if everything else -1 :]
        return some
