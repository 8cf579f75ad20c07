"""The audit for people: what was done, in words; found by who, what and when, and taken along as CSV or JSON."""

import csv
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from flask import Blueprint, Response, make_response, render_template, request, stream_with_context

from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.domain.accounts import AuditEntry, canonical_name
from deerflow.domain.ids import parse_id
from deerflow.domain.presented import iso
from deerflow.domain.principal import LOCAL
from deerflow.domain.text import fit
from deerflow.errors import BadRequest, Invalid
from deerflow.identity import opened
from deerflow.storage import audit, users
from deerflow.storage.audit import Wanted
from deerflow.storage.database import Tx
from deerflow.web import look
from deerflow.web.deeds import KINDS, Names, deed, doer, is_alarming, owners_in
from deerflow.web.pager import pager

_SIZE = 50
_AT_A_TIME = 200
_PAUSE_SECONDS = 0.005
"""Between two parts of an export: to put entries into words is work, and the process has others to answer."""
_MOST_TEXT = 400

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""

_COLUMNS = ("at", "who", "did", "action", "actor", "subject", "address", "detail")
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

NOBODY = "nobody"
"""An actor that no entry has."""


@dataclass(frozen=True)
class Asked:
    """What the address asks for, as the form shows it again."""

    who: str
    what: str
    begin: date | None
    end: date | None

    @property
    def anything(self) -> bool:
        """Whether that leaves anything out."""
        return bool(self.who or self.what or self.begin or self.end)


@dataclass(frozen=True)
class Told:
    """An entry in words."""

    entry: AuditEntry
    who: str
    did: str
    is_alarming: bool


def add_to(console: Blueprint) -> None:
    """Add the pages' routes."""
    console.get("/audit", endpoint="audit")(show)
    console.get("/audit/export", endpoint="audit_export")(export)


@requires("audit:read")
def show() -> Response:
    """A page of what was done, newest first."""
    asked = _asked()
    with opened.backend().db.read() as tx:
        wanted, is_known = _wanted(tx, asked)
        page = pager(audit.count(tx, wanted), size=_SIZE)
        entries = _told(tx, audit.page(tx, wanted, limit=page.size, offset=page.offset))
    facts = {"entries": entries, "page": page, "asked": asked, "is_known": is_known, "kinds": KINDS}
    days = opened.backend().rules.audit_days
    return make_response(render_template("console/audit.html", **facts, days=days))


@requires("audit:read")
def export() -> Response:
    """All that was asked for, as a file."""
    kind = request.args.get("as", "csv")
    if kind not in _TYPES:
        raise BadRequest("The audit can be had as csv or as json")
    backend = opened.backend()
    with backend.db.read() as tx:
        wanted, _ = _wanted(tx, _asked())
    found = _all(backend, wanted)
    answer = Response(stream_with_context(_csv(found) if kind == "csv" else _json(found)), content_type=_TYPES[kind])
    answer.headers["Content-Disposition"] = f'attachment; filename="audit-{datetime.now(UTC):%Y-%m-%d}.{kind}"'
    return answer


def _asked() -> Asked:
    """What stands in the address; what is no day is left out."""
    who, what = (fit(request.args.get(name, "").strip()[:_MOST_TEXT]) for name in ("who", "what"))
    return Asked(who, what if what in KINDS else "", _day("from"), _day("to"))


def _day(name: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(request.args.get(name, ""))
    return None


def _wanted(tx: Tx, asked: Asked) -> tuple[Wanted, bool]:
    """What is to be found, days as the reader's time zone has them; and whether who is asked for is known here."""
    actions = KINDS[asked.what][1] if asked.what else None
    actor = _owner(tx, asked.who) if asked.who else None
    until = _beginning(asked.end, days=1)
    wanted = Wanted(actions, actor or (NOBODY if asked.who else None), _beginning(asked.begin), until)
    return wanted, actor is not None or not asked.who


def _owner(tx: Tx, who: str) -> str | None:
    """The owner that is meant by an e-mail, a proxy's name or an id; None for nobody."""
    if who == LOCAL or parse_id(who):
        return who.lower()
    with suppress(Invalid):
        found = users.find_by_email(tx, canonical_name(who))
        return None if found is None else found.owner
    return None


def _beginning(day: date | None, *, days: int = 0) -> datetime | None:
    """When a day begins where the reader is, or one so many days later; None for no day, and where time ends."""
    if day is None:
        return None
    with suppress(OverflowError):
        return datetime.combine(day + timedelta(days=days), datetime.min.time(), ZoneInfo(look.zone())).astimezone(UTC)
    return None


def _told(tx: Tx, entries: list[AuditEntry]) -> list[Told]:
    names: Names = users.names(tx, owners_in(entries))
    return [Told(each, doer(each, names), deed(each, names), is_alarming(each)) for each in entries]


def _all(backend: Backend, wanted: Wanted) -> Iterator[list[Told]]:
    """All of them part by part, newest first; no transaction stays open while somebody downloads."""
    last: AuditEntry | None = None
    while True:
        with backend.db.read() as tx:
            found = _told(tx, audit.page(tx, wanted, limit=_AT_A_TIME, before=last))
        yield found
        if len(found) < _AT_A_TIME:
            return
        last = found[-1].entry
        time.sleep(_PAUSE_SECONDS)


def _csv(parts: Iterator[list[Told]]) -> Iterator[str]:
    """For spreadsheets: the mark lets them know that it is UTF-8."""
    yield "\ufeff" + _lines([_COLUMNS])
    for part in parts:
        yield _lines(_cells(told) for told in part)


def _cells(told: Told) -> list[str]:
    shown = _shown(told)
    shown["detail"] = orjson.dumps(shown["detail"]).decode() if shown["detail"] else ""
    return [_harmless(str(shown[name] or "")) for name in _COLUMNS]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def _harmless(cell: str) -> str:
    """A cell that is text to every spreadsheet: names and addresses are what strangers have typed."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell


def _json(parts: Iterator[list[Told]]) -> Iterator[bytes]:
    """One array, an entry a line."""
    before = b"[\n"
    for part in parts:
        for told in part:
            yield before + orjson.dumps({"entry_id": told.entry.entry_id, **_shown(told)})
            before = b",\n"
    yield b"[]\n" if before.startswith(b"[") else b"\n]\n"


def _shown(told: Told) -> dict[str, Any]:
    entry = told.entry
    same = {name: getattr(entry, name) for name in ("action", "actor", "subject", "address", "detail")}
    return {"at": iso(entry.at), "who": told.who, "did": told.did, **same}
