"""Contenders against each other: each in its best mode, chosen on other prompts than the reported ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from specsched.bench.engine.contender import PLAIN, Answer, Contender, Mode
from specsched.bench.reference import Question
from specsched.engine.load import Progress
from specsched.text.repetition import is_looping


@dataclass(frozen=True, slots=True)
class Match:
    """How much is measured."""

    per_class: int = 3
    """Prompts to choose modes on, and as many others to report on."""
    max_tokens: int = 64
    """Longest completion."""
    repeats: int = 2
    """Rounds of the reported prompts, each forwards and backwards through the entries (ABBA)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender in one mode."""

    contender: Contender
    mode: Mode


@dataclass(frozen=True, slots=True)
class Choice:
    """What a contender does best in, by some prompts."""

    speculative: Mode
    """Its fastest mode but plain; plain where there is no other."""
    fastest: Mode
    """Plain decoding included."""


@dataclass(slots=True)
class Tally:
    """What one entry did on the reported prompts of one class."""

    entry: Entry
    answers: list[list[Answer]] = field(default_factory=list)
    """By prompt, all runs."""

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        """Completions, by prompt."""
        return [runs[0].tokens for runs in self.answers]

    def only(self, prompts: Sequence[int]) -> "Tally":
        """The same over some of the prompts."""
        return Tally(self.entry, [self.answers[i] for i in prompts])

    @property
    def rate(self) -> float:
        """Decoded tokens per second, the prompts' shares left out; medians over runs."""
        seconds = sum(median(answer.decode_seconds for answer in runs) for runs in self.answers)
        return sum(runs[0].decoded for runs in self.answers) / max(seconds, 1e-9)

    @property
    def whole_rate(self) -> float:
        """Tokens per second, prompts included."""
        seconds = sum(median(answer.seconds for answer in runs) for runs in self.answers)
        return sum(len(runs[0].tokens) for runs in self.answers) / max(seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Result:
    """One class: every contender plain and in its best mode."""

    prompt_class: str
    plain: Mapping[str, Tally]
    """By contender."""
    best: Mapping[str, Tally]
    """By contender; its plain tally where it has no other mode. Plain decoding is no candidate."""
    chosen: Mapping[str, Mode]
    """By contender: plain or best, whichever was faster where modes were chosen."""

    def over_plain(self, contender: str) -> float:
        """Best mode × plain of one contender."""
        return self.best[contender].rate / self.plain[contender].rate

    def identical(self, contender: str) -> bool:
        """Whether its speculative tokens are its plain ones."""
        return self.best[contender].tokens == self.plain[contender].tokens

    def fastest(self, contender: str) -> float:
        """Rate of the mode that was chosen."""
        of = self.plain if self.chosen[contender] == PLAIN else self.best
        return of[contender].rate


def play_classes(
    contenders: Sequence[Contender],
    questions: Mapping[str, Sequence[Question]],
    match: Match,
    say: Progress = lambda _stage: None,
) -> list[Result]:
    """Every class: modes chosen on the first half of its prompts, reported on the rest."""
    results = []
    for name, asked in questions.items():
        half = len(asked) // 2
        choices = {}
        for contender in contenders:
            say(f"{name}: choosing the mode of {contender.name}")
            choices[contender.name] = choose_mode(contender, asked[:half], match.max_tokens)
        modes = [(contender, (PLAIN, choices[contender.name].speculative)) for contender in contenders]
        say(f"{name}: measuring")
        tallies = compete([Entry(one, mode) for one, both in modes for mode in both], asked[half:], match)
        plain, best = ({tally.entry.contender.name: tally for tally in tallies[first::2]} for first in (0, 1))
        results.append(Result(name, plain, best, {who: choice.fastest for who, choice in choices.items()}))
    return results


def choose_mode(contender: Contender, questions: Sequence[Question], max_tokens: int) -> Choice:
    """Time every mode."""

    def rate(mode: Mode) -> float:
        contender.answer(questions[0], max_tokens, mode)  # warm
        answers = [contender.answer(question, max_tokens, mode) for question in questions]
        return sum(a.decoded for a in answers) / max(sum(a.decode_seconds for a in answers), 1e-9)

    rates = {mode: rate(mode) for mode in contender.modes}
    others = [mode for mode in rates if mode != PLAIN]
    return Choice(max(others, key=rates.__getitem__, default=PLAIN), max(rates, key=rates.__getitem__))


def compete(entries: Sequence[Entry], questions: Sequence[Question], match: Match) -> list[Tally]:
    """Let all entries answer, forwards and backwards in turns, after a warm-up of each on the first prompt."""
    tallies = {entry: Tally(entry) for entry in entries}
    for entry in tallies:
        entry.contender.answer(questions[0], match.max_tokens, entry.mode)
    for question in questions:
        for tally in tallies.values():
            tally.answers.append([])
        for _ in range(match.repeats):
            for entry in (*tallies, *reversed(tallies)):
                answer = entry.contender.answer(question, match.max_tokens, entry.mode)
                tallies[entry].answers[-1].append(answer)
    return [tallies[entry] for entry in entries]


def without_loops(results: Sequence[Result], contender: str) -> list[Result]:
    """Results over the prompts whose plain completion does not loop; classes without such a prompt are left out."""
    kept = []
    for result in results:
        sober = [i for i, tokens in enumerate(result.plain[contender].tokens) if not is_looping(tokens)]
        if sober:
            plain, best = ({contender: of[contender].only(sober)} for of in (result.plain, result.best))
            kept.append(Result(result.prompt_class, plain, best, result.chosen))
    return kept


def mean_over(results: Sequence[Result], ours: str, theirs: str) -> float:
    """Mean over classes of ours × theirs, each in the mode that was chosen, plain included."""
    return fmean(result.fastest(ours) / result.fastest(theirs) for result in results)


def plain_over(results: Sequence[Result], ours: str, theirs: str) -> float:
    """Mean over classes of our plain decoding × theirs."""
    return fmean(result.plain[ours].rate / result.plain[theirs].rate for result in results)


def agreement(tokens: Sequence[Sequence[int]], reference: Sequence[Sequence[int]]) -> float:
    """Share of a reference's tokens that stand before the first difference."""
    equal = sum(_common_prefix(*pair) for pair in zip(tokens, reference, strict=True))
    return equal / max(1, sum(map(len, reference)))


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
