"""Takes out of a text what looks like it belongs to a person or opens a door. It is a sieve, not a promise."""

import re
from collections.abc import Callable, Sequence

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r"|\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abprs]|hf|npm|pypi)[-_][\w-]{12,}"  # tokens that say whose they are
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # an AWS access key
    r"|\b(?=[\w+/]*\d)(?=[\w+/]*[A-Za-z])[\w+/]{32,}={0,2}"  # anything long that mixes letters and digits
)
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")
_PHONE = re.compile(r"(?<![\w.-])(?:\+|\(0?)?\d[\d ()/.-]{6,18}\d(?![\w-])")

_PHONE_DIGITS = range(9, 16)


class Redactor:
    """Replaces what matches, by the kind that it is."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Compile.

        Args:
            patterns: Further regular expressions; what they match becomes [redacted].
        """
        self._own = [re.compile(pattern) for pattern in patterns]

    def redact(self, text: str) -> str:
        """Return the text without what matches."""
        for pattern in self._own:
            text = pattern.sub("[redacted]", text)
        text = _EMAIL.sub("[email]", text)
        text = _TOKEN.sub("[token]", text)
        text = _CARD.sub(_if(_is_card, "[card]"), text)
        return _PHONE.sub(_if(_is_phone, "[phone]"), text)


def _if(condition: Callable[[str], bool], replacement: str) -> Callable[[re.Match[str]], str]:
    return lambda match: replacement if condition(match.group()) else match.group()


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdigit()]


def _is_card(text: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1, annex B): nine of ten other numbers fail it."""
    digits = _digits(text)[::-1]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_phone(text: str) -> bool:
    return len(_digits(text)) in _PHONE_DIGITS
