"""Progress of commands that train."""

from typing import Any, Self

from specsched.cli.output import console


class TokenProgress:
    """A progress bar with tokens a second and time left."""

    def __init__(self, what: str, tokens: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} / {task.total:,} tokens"),
            TextColumn("{task.fields[rate]:,.0f} tokens/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=console)
        self._what = what
        self._task = self._progress.add_task(what, total=tokens, rate=0.0, note="")
        self._done = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def training(self, step: Any) -> None:
        """Take a training step's progress."""
        if step.valid:
            losses = "  ".join(f"{name} {value:.2f}" for name, value in step.valid.items())
            self._progress.print(f"{step.tokens:,} tokens, held-out loss: {losses}")
        else:
            self._advance(step.tokens, step.seconds, f"loss {step.loss:.3f}")

    def distilling(self, step: Any) -> None:
        """Take a distillation step's progress."""
        if step.acceptance:
            cells = "  ".join(f"{name}@{t:g} {value:.2f}" for (name, t), value in step.acceptance.items())
            self._progress.print(f"{step.tokens:,} tokens, {step.objective}, acceptance: {cells}")
        else:
            self._advance(step.tokens, step.seconds, f"{step.objective} {step.loss:.3f}")

    def say(self, text: str) -> None:
        """Name what is being done."""
        self._progress.update(self._task, description=text)

    def _advance(self, tokens: int, seconds: float, note: str) -> None:
        rate = max(0, tokens - self._done) / max(seconds, 1e-9)
        self._progress.update(self._task, description=self._what, completed=tokens, rate=rate, note=note)
        self._done = tokens
