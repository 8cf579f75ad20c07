"""The words of the pages in each language. The English text is the key; ``translations/zh_Hans_CN/*.po`` hold the rest.

A file a room, read and merged when the first page asks: no compiled catalogue lies in the repository, or is forgotten.
"""

from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask_babel import Domain, get_locale

FOLDER = Path(__file__).parent / "translations"

LANGUAGES = {"en-US": "en_US", "zh-CN": "zh_Hans_CN"}
"""What users choose (BCP 47), and Babel's name for it."""

NAMES = {"en-US": "English", "zh-CN": "简体中文"}
"""What each language is called by those who speak it."""


class Words(Domain):  # type: ignore[misc]
    """flask-babel's way to the translations of this request's language."""

    def get_translations(self) -> NullTranslations:
        """The words of the reader's language."""
        return translations(str(get_locale()))


@cache
def translations(locale: str) -> NullTranslations:
    """All rooms' words of a locale as Babel names it; of English, which the keys are, none."""
    found = Translations()
    for file in sorted((FOLDER / locale).glob("*.po")):
        with file.open("rb") as opened:
            catalog = read_po(opened, locale=locale)
        compiled = BytesIO()
        write_mo(compiled, catalog)
        compiled.seek(0)
        room = Translations(compiled)
        found.merge(room)
        found.plural = room.plural
    return found
