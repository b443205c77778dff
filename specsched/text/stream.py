"""One completion's chunks → what its caller sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from specsched.records import Chunk, RoundRecord, TextChunk, TokenLogprob
from specsched.text.detokenizer import Decoder, Detokenizer
from specsched.text.stops import StopMatcher


@dataclass(frozen=True, slots=True)
class _Cut:
    """A chunk's text, and how many of its tokens belong to it."""

    text: str
    kept: int


class TextStream:
    """Detokenises a completion and ends it at a stop string.

    A stop string trims text, tokens, log-probabilities and the round's record alike: it is not part of the text,
    and the token that completes it is the last one kept (as in vLLM). Text of the first `min_tokens` - 1 tokens is
    no part of a match. The text of a stop token is left out, the token itself stays.

    `resumed_ids` are tokens of this completion that another stream delivered already: they count, in `token_ids`,
    `text` and towards `min_tokens`, and appear in no chunk.
    """

    def __init__(
        self, tokenizer: Decoder, stop: tuple[str, ...], min_tokens: int = 0, resumed_ids: Sequence[int] = ()
    ) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._matcher = StopMatcher(stop)
        self._stops = any(stop)
        self._min_tokens = min_tokens
        self._token_ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._text: list[str] = []
        self._matched: str | None = None
        if resumed_ids:
            self.push(Chunk(tuple(resumed_ids)))

    @property
    def matched_stop(self) -> str | None:
        """The stop string that ended the completion; the row may be cancelled."""
        return self._matched

    @property
    def text(self) -> str:
        """All text emitted so far."""
        return "".join(self._text)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All tokens kept so far."""
        return tuple(self._token_ids)

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        """Log-probabilities of the tokens kept so far, those of resumed tokens left out."""
        return tuple(self._logprobs)

    def push(self, chunk: Chunk) -> TextChunk:
        """Return the part of a round that the caller sees; nothing once a stop string has matched."""
        if self._matched is not None:
            return TextChunk("", ())
        cut = self._read(chunk)
        logprobs = chunk.logprobs[: cut.kept]
        self._text.append(cut.text)
        self._logprobs.extend(logprobs)
        more = chunk.more and self._matched is None
        return TextChunk(cut.text, chunk.token_ids[: cut.kept], logprobs, _trimmed(chunk, cut.kept), more)

    def _read(self, chunk: Chunk) -> _Cut:
        """Take the tokens; one by one where there are stop strings, so that the one that completes one is known."""
        pieces: list[str] = []
        tokens = chunk.token_ids
        step = 1 if self._stops else max(1, len(tokens))
        for start in range(0, len(tokens), step):
            new = tokens[start : start + step]
            self._token_ids += new
            whole = chunk.matched_token_id is None or start + step < len(tokens)
            pieces.append(self._scan(self._detokenizer.push(new if whole else new[:-1])))
            if self._matched is not None:
                return _Cut("".join(pieces), start + step)
        if chunk.finish is not None:
            pieces.append(self._scan(self._detokenizer.flush()))
            pieces.append(self._matcher.flush())
        return _Cut("".join(pieces), len(tokens))

    def _scan(self, text: str) -> str:
        """Return the text that no stop string can touch any more."""
        if not self._stops or len(self._token_ids) < self._min_tokens:
            return text
        scan = self._matcher.push(text)
        self._matched = scan.matched
        return scan.text


def _trimmed(chunk: Chunk, kept: int) -> RoundRecord | None:
    """The round's record without what was cut off, which counts as neither accepted nor rejected."""
    record = chunk.round
    if record is None or kept == len(chunk.token_ids):
        return record
    accepted = min(record.num_accepted, kept)
    return replace(record, num_accepted=accepted, censored=True, overlaps=record.overlaps[:accepted])
