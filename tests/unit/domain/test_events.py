"""Entries and cursors."""

import pytest

from deerflow.domain.events import Entry, parse_cursor

EVERYTHING = ["-1", "-", "0", "0-0", " -1 ", "0\n", "00"]
PLACES = {"7": 7, "7-0": 7, " 7 ": 7, "007": 7, "1700000000000-0": 1_700_000_000_000, "9" * 15: 10**15 - 1}
NO_WISH = [
    None,
    "",
    " ",
    "abc",
    "-5",
    "-0",
    "--1",
    "+7",
    "7.0",
    "7-1",
    "7-0-0",
    "7 8",
    "0x7",
    "1e3",
    "7_000",
    "99999999999999999999",
    "9" * 5_000,
    "\u0667",  # ARABIC-INDIC DIGIT SEVEN: a digit for int(), not for us
    "\u00b2",  # SUPERSCRIPT TWO: a digit for str.isdigit(), not for int()
    "7\0",
]


@pytest.mark.parametrize("text", EVERYTHING)
def test_the_words_for_everything_stand_before_the_first_event(text):
    """scenario 27"""
    assert parse_cursor(text) == 0


@pytest.mark.parametrize(("text", "place"), PLACES.items())
def test_a_place_is_read_with_and_without_the_ending_of_a_redis_stream_id(text, place):
    assert parse_cursor(text) == place


@pytest.mark.parametrize("text", NO_WISH)
def test_what_is_no_place_means_from_now_on(text):
    """scenario 27: unparsable cursors are no error"""
    assert parse_cursor(text) is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("values", b"{}"),
        ("messages|child:6f2e", b'[{"content":"a: b\\r\\ndata: no"}]'),
        ("updates|kn\u00f6del", '{"\U0001f98c":"\u2028"}'.encode()),
        ("custom", b""),
    ],
)
def test_an_entry_gives_back_the_name_and_the_json_of_its_frame(name, data):
    entry = Entry(1, 0, b"event: " + name.encode() + b"\r\ndata: " + data + b"\r\n")
    assert (entry.name, entry.data) == (name, data)
