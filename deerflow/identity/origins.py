"""Which origins' pages may call this server from a browser, and which of them count as its own.

Who decides: the setting ``cors_origins``, else langgraph.json's ``http.cors``, else the mode.

- ``accounts`` and handlers of the project: every origin, because such a page has to bring a credential of its own.
  It is answered without credentials, so that no browser shows it what a cookie would open.
- ``none``: this machine's own origins, and those that are named; ``*`` would let every page in the world act as
  ``local``, so it counts for nothing there.
- ``trusted-header``: those that are named; the proxy adds to every request whom it knows.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask import Flask, current_app

from deerflow.errors import ConfigError
from deerflow.identity import loopback
from deerflow.project import Cors, Project
from deerflow.settings import Settings

log = logging.getLogger(__name__)

ANY, NOBODY = "*", "none"
"""Words of ``cors_origins``: every origin, and no other origin than this server's own."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/*@?#]+", re.IGNORECASE)
_SOMEBODY = "https://somebody.invalid"
"""An origin that nobody means: a pattern that it matches is as good as ``*``."""
_USUAL_PORTS = (("http://", ":80"), ("https://", ":443"))


@dataclass(frozen=True)
class Origins:
    """Who may call. *credentials*: whether browsers may add cookies to what the named ones ask."""

    named: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    anybody: bool = False
    this_machine: bool = False
    credentials: bool = False
    exposed: tuple[str, ...] = ()
    """Headers of answers that they may read beside those that everybody may."""
    max_age: int = 600
    """Seconds that a browser remembers what a preflight was answered."""

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may read what it is answered."""
        return self.anybody or self.trusts(origin)

    def trusts(self, origin: str) -> bool:
        """Whether it is let in by its name, and so may do what a page of this server may."""
        if origin in self.named or (self.this_machine and loopback.is_origin(origin)):
            return True
        return self.pattern is not None and self.pattern.fullmatch(origin) is not None


def register(app: Flask, settings: Settings, project: Project) -> None:
    """Tell an app whose pages may call it."""
    app.extensions["deerflow.origins"] = origins_of(settings, project)


def current() -> Origins:
    """Whose pages may call the app that answers this request."""
    found: Origins = current_app.extensions["deerflow.origins"]
    return found


def origins_of(settings: Settings, project: Project) -> Origins:
    """What settings, project and mode say together; ConfigError for what is no origin."""
    cors, alone = project.http.cors, settings.auth == "none" and not project.auth
    said, pattern = _said(settings, cors), _pattern(settings, cors)
    wants_all = ANY in said if said is not None else settings.auth == "accounts" or project.auth is not None
    if pattern is not None and pattern.fullmatch(_SOMEBODY):
        wants_all, pattern = True, None
    named = frozenset(_origin(word) for word in said or () if word not in {ANY, NOBODY})
    if alone and wants_all:
        _warn(ANY, "without authentication every page in the world could act as you; name the origins")
    if cors.allow_credentials and wants_all:
        _warn("http.cors.allow_credentials", f"it needs origins that are named, not {ANY}")
    return Origins(
        named,
        pattern=pattern,
        anybody=wants_all and not alone,
        this_machine=alone,
        credentials=cors.allow_credentials and not wants_all,
        exposed=cors.expose_headers,
        max_age=cors.max_age,
    )


def _said(settings: Settings, cors: Cors) -> Iterable[str] | None:
    """The words of who decides; None when that is the mode."""
    if settings.cors_origins:
        return settings.cors_origins.replace(",", " ").split()
    if cors.allow_origins is None and cors.allow_origin_regex is not None:
        return ()
    return cors.allow_origins


def _pattern(settings: Settings, cors: Cors) -> re.Pattern[str] | None:
    wanted = None if settings.cors_origins else cors.allow_origin_regex
    return None if wanted is None else re.compile(wanted)


def _origin(text: str) -> str:
    """An origin as browsers write it; ConfigError for anything else."""
    found = text.rstrip("/").lower()
    if not _ORIGIN.fullmatch(found):
        raise ConfigError(
            f"'{text}' is no origin: DEERFLOW_CORS_ORIGINS and http.cors.allow_origins name origins like "
            f"https://app.example.org, or {ANY}; for patterns there is http.cors.allow_origin_regex"
        )
    for scheme, port in _USUAL_PORTS:
        found = found.removesuffix(port) if found.startswith(scheme) else found
    return found


def _warn(key: str, why: str) -> None:
    log.warning("What was said about origins has no effect: %s", why, extra={"key": key})
