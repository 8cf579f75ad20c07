"""Passwords that are tried first, told by how they are made rather than by a list of them.

Lists of leaked passwords are a few hundred words and keyboard walks, each with a year, some digits, a mark at the end
or letters that look alike. So a password is common when it is nothing but

- at most two known words (``michael``, ``p4ssw0rd``, backwards too), or walks over the keyboard, the alphabet or the
  digits (``qwerty``, ``1q2w3e``, ``abcd``, ``777``), or three walks;
- and at most five digits and marks besides (``Summer-2026!``), or a letter or two (``123456789a``);

or the same short piece again and again, or digits alone. That covers each list's usual variants, and those of next
year; words that nothing connects (``correct horse battery staple``) are more than two.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

Words = Mapping[str, Sequence[str]]
"""Words by what they begin with."""

_BUDGET, _WORD, _WALK = 6, 3, 2
"""Two words, or a word and a walk, or three walks."""
_FREE, _LETTER = 5, 2
"""What may stand besides: five digits or marks; a letter counts as two of them."""
_FEWEST_DIGITS = 12
_SEPARATORS = dict.fromkeys(map(ord, " .,-/:+"))
_SHORTEST_WALK = 3
_LONGEST_PIECE = 7
_MOST_LOOKED_AT = 64
"""A longer one is common only when it repeats itself."""
_LONGEST_PERIOD = 4 * _MOST_LOOKED_AT
"""Longer pieces nobody tries first, and looking for them in a long text would hold others up."""

_LOOKS_LIKE = {
    "a": "@4", "b": "8", "c": "(", "e": "3€", "g": "96", "i": "1!|", "l": "1|!", "o": "0", "s": "$5", "t": "7+",
    "z": "2",
}  # fmt: skip

_WALKS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü",
    "yxcvbnm,.-", "asdfghjklöä", "azertyuiop", "qsdfghjklm", "wxcvbn", "!@#$%^&*()_+", '!"§$%&/()=', "йцукенгшщзхъ",
    "фывапролджэ", "ячсмитьбю", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0", "qazwsxedcrfvtgbyhnujmikolp", "1a2s3d4f5g6h7j8k9l", "qwaszxerdfcv",
    "a1s2d3f4g5h6j7k8l9", "qweasdzxc", "qawsedrftgyhujikolp", "zaq1xsw2cde3vfr4bgt5nhy6mju7",
    "zaqxswcdevfrbgtnhymjukilop", "a1b2c3d4e5f6g7h8i9j0", "1a2b3c4d5e6f7g8h9i0j", "aabbccddeeffgghhiijj",
    "11223344556677889900", "!1@2#3$4%5^6&7*8(9)0", "1!2@3#4$5%6^7&8*9(0)", "147258369", "159753", "741852963",
    "789456123", "0246813579", "!qaz@wsx#edc$rfv",
)  # fmt: skip
_LINES = tuple({*_WALKS, *(walk[::-1] for walk in _WALKS)})

_WORDS = frozenset(Path(__file__).with_name("roots.txt").read_text("utf-8").split())


def is_common(password: str, known: frozenset[str] = frozenset()) -> bool:
    """Whether a password is one that is tried first. With *known*: whether it is made of one of these words instead."""
    text = password.lower()
    if known:
        return any(_is_made_of(piece, _by_beginning(known)) for piece in _readings(text))
    return _is_all_digits(text) or _repeats(text) or any(_is_made_of(piece, _KNOWN) for piece in _readings(text))


def _readings(text: str) -> Iterator[str]:
    """A password as it stands, without what separates its parts, and both backwards; each repetition once."""
    period = _period(text)
    unit = text[:period] if period <= len(text) // 2 else text
    for each in {unit, "".join(char for char in unit if char.isalnum())}:
        yield each
        yield each[::-1]


def _is_all_digits(text: str) -> bool:
    """Dates and telephone numbers, however they are written."""
    digits = text.translate(_SEPARATORS)
    return len(digits) < _FEWEST_DIGITS and digits.isdigit()


def _repeats(text: str) -> bool:
    """Whether it is a short piece again and again, such as ``aaaaaaaa`` or ``abcabcab``."""
    return _period(text) <= min(_LONGEST_PIECE, len(text) // 2)


def _period(text: str) -> int:
    """The length of the shortest piece that, repeated, begins with this text; its own if that is none worth a look."""
    longest = min(len(text), _LONGEST_PERIOD)
    return next((n for n in range(1, longest) if text[n:] == text[:-n]), len(text))


def _is_made_of(text: str, words: Words) -> bool:
    """Whether a text is known words and walks with few characters besides."""
    if len(text) > _MOST_LOOKED_AT:
        return False
    pieces = [list(_pieces(text, at, words)) for at in range(len(text))]

    @cache
    def rest(at: int, budget: int, free: int) -> bool:
        if at == len(text):
            return True
        cost = _LETTER if text[at].isalpha() else 1
        if cost <= free and rest(at + 1, budget, free - cost):
            return True
        return any(rest(end, budget - cost, free) for end, cost in pieces[at] if cost <= budget)

    return rest(0, _BUDGET, _FREE)


def _pieces(text: str, at: int, words: Words) -> Iterator[tuple[int, int]]:
    """Where the words and walks that begin here end, and what each costs."""
    for word in words.get(text[at], ()):
        if _reads(text, at, word):
            yield at + len(word), _WORD
    for end in range(at + _SHORTEST_WALK, _end_of_walk(text, at) + 1):
        yield end, _WALK


def _reads(text: str, at: int, word: str) -> bool:
    """Whether a word stands here, be it with digits and marks that look like its letters."""
    part = text[at : at + len(word)]
    return len(part) == len(word) and all(
        a == b or a in _LOOKS_LIKE.get(b, "") for a, b in zip(part, word, strict=True)
    )


def _end_of_walk(text: str, at: int) -> int:
    """How far a walk, or the same character again, goes from here."""
    end = at + 1
    while end < len(text) and (len(set(text[at : end + 1])) == 1 or any(text[at : end + 1] in w for w in _LINES)):
        end += 1
    return end


def _by_beginning(words: Iterable[str]) -> Words:
    """Words by each character that they can begin with."""
    found: dict[str, list[str]] = {}
    for word in words:
        for char in word[0] + _LOOKS_LIKE.get(word[0], ""):
            found.setdefault(char, []).append(word)
    return found


_KNOWN = _by_beginning(_WORDS)
