"""The port for what callers know of their prompts' classes."""

from typing import Protocol


class ClassFeedback(Protocol):
    """Takes the true class of a prompt that was classified. Belongs to the scheduler's event loop; never blocks."""

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Take a label and who gave it. Of a long prompt only the head and the tail are known."""
        ...

    def roll_back(self, *, everything: bool = False) -> bool:
        """Take the last correction back, or all; returns whether there was one."""
        ...

    @property
    def version(self) -> str:
        """Of the classifier in force; empty where labels correct none."""
        ...


class NullFeedback:
    """Learns nothing."""

    version = ""

    def told(self, text: str, prompt_class: str, tenant: str) -> None:
        """Nothing."""

    def roll_back(self, *, everything: bool = False) -> bool:  # noqa: ARG002 - the port's signature
        """Nothing to take back."""
        return False
