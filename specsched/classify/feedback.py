"""The port for what callers know of their prompts' classes."""

from typing import Protocol


class ClassFeedback(Protocol):
    """Takes the true class of a prompt that was classified. Belongs to the scheduler's event loop; never blocks."""

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Take a label and who gave it. Of a long prompt only the head and the tail are known."""
        ...


class NullFeedback:
    """Learns nothing."""

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Nothing."""
