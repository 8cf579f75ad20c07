"""Every word of the pages is there in each language, and the reader gets the one they want."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask import Flask

from deerflow import web
from deerflow.web.words import FOLDER
from tests.integration.identity.browsers import PASSWORD
from tests.integration.web.conftest import Person

TYPED = {"email": "ada@example.com", "password": PASSWORD}
CHINESE = FOLDER / "zh_Hans_CN"


def words() -> set[str]:
    """What templates and views say."""
    methods = [("**.py", "python"), ("**.html", "jinja2")]
    keywords = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "lazy_ngettext": (1, 2)}
    found = extract_from_dir(Path(web.__file__).parent, methods, keywords=keywords)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def translated() -> Iterator[tuple[str, str, str]]:
    """File, English text and Chinese text of all translations."""
    for file in sorted(CHINESE.glob("*.po")):
        with file.open("rb") as opened:
            for message in read_po(opened, locale="zh_Hans_CN", abort_invalid=True):
                if message.id:
                    assert not message.fuzzy, f"{file.name}: {message.id}"
                    text, chinese = message.id, message.string
                    yield file.name, *((text[0], chinese[0]) if isinstance(text, tuple) else (text, chinese))


def test_every_word_is_translated_and_none_is_left_over() -> None:
    there = {english for _, english, chinese in translated() if chinese}
    assert words() - there == set(), "not translated"
    assert there - words() == set(), "nobody says this any more"


def test_a_word_is_translated_once() -> None:
    """Two rooms that say the same have it in one file: else they could say it in two ways."""
    several = [english for english, times in Counter(english for _, english, _ in translated()).items() if times > 1]
    assert several == []


def test_placeholders_are_those_of_the_english_text() -> None:
    for file, english, chinese in translated():
        assert placeholders(english) == placeholders(chinese), (file, english)


def placeholders(text: str) -> list[str]:
    return sorted(part.split(")")[0] for part in text.split("%(")[1:])


@pytest.mark.parametrize(
    ("likes", "language"),
    [("zh-CN,zh;q=0.9", "zh-CN"), ("zh", "zh-CN"), ("de, en;q=0.5", "en-US"), ("fr", "en-US"), ("", "en-US"),
     ("zh-Hans-CN", "zh-CN"), ("en-GB", "en-US"), ("*", "en-US"), ("x" * 5000, "en-US")],
)  # fmt: skip
def test_what_the_browser_likes_is_spoken(person: Person, likes: str, language: str) -> None:
    assert f'<html lang="{language}"' in person.open("/console/login", **{"Accept-Language": likes}).text


def test_a_choice_goes_before_what_the_browser_likes_and_keeps_the_page(person: Person) -> None:
    person.open("/console/login?next=/console/x")
    led = person.send("/console/look", language="zh-CN")
    assert led.headers["Location"] == "/console/login?next=/console/x"
    page = person.open(led.headers["Location"], **{"Accept-Language": "en-US"})
    assert '<html lang="zh-CN"' in page.text
    assert "登录" in page.text


@pytest.mark.usefixtures("ada")
def test_a_users_choice_goes_before_the_browsers(person: Person, accounts_app: Flask) -> None:
    person.open("/console/login")
    person.send("/console/login", **TYPED)
    person.open("/console/threads")
    person.send("/console/look", language="zh-CN")
    other = Person(accounts_app)
    other.open("/console/login")
    other.send("/console/look", language="en-US")
    other.open("/console/login")
    other.send("/console/login", **TYPED)
    assert '<html lang="zh-CN"' in other.open("/console/threads").text


@pytest.mark.usefixtures("ada")
def test_another_sites_page_chooses_nothing(person: Person) -> None:
    person.open("/console/login")
    person.send("/console/login", **TYPED)
    client, base = person.browser.client, person.browser.base
    assert client.post("/console/look", data={"language": "zh-CN"}, base_url=base).status_code == 403
    stranger = {"Origin": "https://evil.example"}
    assert client.post("/console/look", data={"scheme": "dark"}, base_url=base, headers=stranger).status_code == 403


@pytest.mark.parametrize("scheme", ["light", "dark", "system"])
def test_the_colours_are_a_choice(person: Person, scheme: str) -> None:
    person.open("/console/login")
    person.send("/console/look", scheme=scheme)
    assert f'data-scheme="{scheme}"' in person.open("/console/login").text


def test_nonsense_is_no_choice(person: Person) -> None:
    person.open("/console/login")
    assert person.send("/console/look", scheme="pink", language="xx", back="https://evil.example").status_code == 303
    assert person.page.headers["Location"] == "/console/"
    assert "Set-Cookie" not in person.page.headers
