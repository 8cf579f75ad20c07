"""Which passwords are refused, and what is kept of the others."""

import contextlib
import time

import argon2
import pytest

from deerflow.auth import passwords
from deerflow.errors import Invalid

COMMON = """
password1 Password1! PASSWORD passw0rd p@ssw0rd P@$$w0rd2026 drowssap passwordpassword pass@word1 12345678 123456789a
87654321 11111111 aaaaaaaa abababab 11223344 0987654321 01.02.1990 19900102 555-123-4567 5201314520 qwertyuiop
qwerty123 Qwerty!23 1q2w3e4r q1w2e3r4t5 1qaz2wsx 1qazxsw2 zaq12wsx qazwsxedc qweasdzxc asdfghjkl asdqwe123 azerty123
abcd1234 abc123456 1234qwer 12qwaszx йцукенгш iloveyou1 letmein123 admin123 Admin@2024 welcome1 Welcome@2025 changeme
sunshine football1 trustno1 deerflow1 langgraph summer2026 Summer-2026! january2025 michael1 Jennifer99! michaeljordan
superman bulldogs1 blink182 woaini1314 Sonntag2026 monkey!! correct1correct1 passwort1
""".split()  # noqa: SIM905 - it reads best so

GOOD = [
    "correct horse battery staple",
    "plum ladder quartz echo",
    "owl-Tundra-velvet-41",
    "gV7#kq2Lp9",
    "J8f!w2Qz",
    "Tr0ub4dor&3x",
    "Vollmond über Wacholder",
    "莓果列车窗台雨声九",
    "x" * 20 + " and then something else entirely",
    "plum ladder quartz echo " * 100,
]


@pytest.mark.parametrize("password", COMMON)
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid, match="tried first"):
        passwords.check(password)


@pytest.mark.parametrize("password", GOOD, ids=range(len(GOOD)))
def test_what_nobody_guesses_is_accepted(password: str) -> None:
    passwords.check(password, "ada@example.com")


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("", "at least 8"),
        ("gV7#kq2", "at least 8"),
        ("x y" * 1366, "longer than 4096"),
        ("ada.lovelace", "e-mail"),
        ("Ada.Lovelace1!", "e-mail"),
        ("ada.lovelace@analytic.example", "e-mail"),
        ("Analytic2026", "e-mail"),
        ("Password1!", "tried first"),
    ],
)
def test_a_refusal_says_why(password: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        passwords.check(password, "ada.lovelace@analytic.example")


def test_length_counts_normal_characters() -> None:
    """A ligature is as many letters as it stands for, and an accent is none of its own."""
    passwords.check("ﬀgV7#kq2")
    with pytest.raises(Invalid, match="at least 8"):
        passwords.check("gV7#kqe\u0301")


LONG_IN_ITS_NORMAL_FORM = "".join("\ufdfa" if n & n >> 1 else "\ufdfb" for n in range(4096))


@pytest.mark.parametrize(
    "password",
    ["pass" * 15 + "1!z", "a1" * 30 + "b", "qwertyuiop" * 6 + "x", "1!" * 2048, LONG_IN_ITS_NORMAL_FORM,
     "\ufdfa" * 4095 + "b", "\u0301\u0316" * 10_000],
    ids=range(7),
)  # fmt: skip
def test_a_check_takes_no_time(password: str) -> None:
    """Whatever somebody makes up to keep it busy."""
    before = time.thread_time()
    with contextlib.suppress(Invalid):
        passwords.check(password)
    assert time.thread_time() - before < 0.5


def test_what_is_too_long_for_anybody_is_not_looked_at() -> None:
    """Unicode's normal form of these would keep the process busy for a second and more."""
    before = time.thread_time()
    assert not passwords.verify("a" + "\u0301\u0316" * 10_000, passwords.hash("correct horse battery staple"))
    assert time.thread_time() - before < 0.5


def test_nothing_of_a_password_is_cut() -> None:
    """scenario 50"""
    long = "correct horse battery staple " * 20
    kept = passwords.hash(long)
    assert passwords.verify(long, kept)
    assert not passwords.verify(long[:-1], kept)
    assert not passwords.verify(long[:72], kept)


def test_the_same_text_is_the_same_password_however_it_is_typed() -> None:
    kept = passwords.hash("caf\u00e9 au lait, \u00bd")
    assert passwords.verify("cafe\u0301 au lait, 1\u20442", kept)
    assert not passwords.verify("CAF\u00c9 au lait, \u00bd", kept)


def test_hashes_are_argon2id_and_salted() -> None:
    one, other = passwords.hash("gV7#kq2Lp9"), passwords.hash("gV7#kq2Lp9")
    assert one != other
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_nobodys_password_costs_the_same_and_is_never_right(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, kept: str, password: bytes) -> bool:
        seen.append(kept)
        return real(self, kept, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    assert not passwords.verify("gV7#kq2Lp9", None)
    assert not passwords.verify("wrong", passwords.hash("gV7#kq2Lp9"))
    unknown, known = map(argon2.extract_parameters, seen)
    assert unknown == known


def test_what_is_no_hash_opens_nothing() -> None:
    assert not passwords.verify("", "")
    assert not passwords.verify("gV7#kq2Lp9", "gV7#kq2Lp9")


def test_a_hash_of_other_numbers_is_good_and_outdated() -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("gV7#kq2Lp9")
    assert passwords.verify("gV7#kq2Lp9", old)
    assert passwords.is_outdated(old)
    assert not passwords.is_outdated(passwords.hash("gV7#kq2Lp9"))
