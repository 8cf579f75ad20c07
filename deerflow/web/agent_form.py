"""The form with which somebody makes or changes an agent; what its JSON may hold, the same rules say as the API's."""

import json
from collections.abc import Callable
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import Field, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, StopValidation

from deerflow.domain.assistants import Assistant, AssistantSpec, config_of
from deerflow.domain.bodies import NotJson, read_json
from deerflow.domain.claims import believed
from deerflow.domain.text import fit
from deerflow.errors import Invalid
from deerflow.web.told import told as in_full

JSON_FIELDS = ("config", "context", "metadata")


def an_object(_form: FlaskForm, field: Field) -> None:
    """That what was typed is a JSON object, or nothing."""
    try:
        found = _object(field.data)
    except NotJson as error:
        where = {"line": error.line, "column": error.column}
        raise StopValidation(gettext("This is not JSON: look at line %(line)s, column %(column)s.", **where)) from None
    except Invalid:
        raise StopValidation(gettext("This nests too deep: 100 levels at most.")) from None
    if not isinstance(found, dict):
        raise StopValidation(gettext("This must be a JSON object: { … }."))


def a_config(_form: FlaskForm, field: Field) -> None:
    """That an object is a config."""
    try:
        config_of(_object(field.data))
    except Invalid as error:
        raise StopValidation(in_full(error)) from None


def _object(text: str | None) -> Any:
    return read_json(text) if text and text.strip() else {}


class AgentForm(FlaskForm):  # type: ignore[misc]
    """What can be said of an agent."""

    graph_id = SelectField(_("Graph"))
    name = StringField(_("Name"), [DataRequired(_("Give it a name.")), Length(max=200)])
    description = TextAreaField(_("Description"), [Length(max=2_000)])
    config = TextAreaField(_("Config"), [an_object, a_config])
    context = TextAreaField(_("Context"), [an_object])
    metadata = TextAreaField(_("Metadata"), [an_object])


def filled(assistant: Assistant | None, graphs: list[str], wanted: str | None = None) -> AgentForm:
    """The form as it begins, or with what was sent. *wanted*: the graph of a new one."""
    told = {} if assistant is None else {name: _written(getattr(assistant, name)) for name in JSON_FIELDS}
    if assistant is not None:
        told |= {"name": assistant.name, "description": assistant.description or "", "graph_id": assistant.graph_id}
    else:
        told |= {"graph_id": wanted if wanted in graphs else graphs[0]}
    form = AgentForm(data=told)
    known = graphs if assistant is None or assistant.graph_id in graphs else [assistant.graph_id, *graphs]
    form.graph_id.choices = [(each, each) for each in known]
    return form


def spec_of(form: AgentForm, before: Assistant | None) -> AssistantSpec:
    """What the form says, for storage. Of an agent that is there only what is another than *before* is said."""
    said: dict[str, Any] = {
        "graph_id": form.graph_id.data,
        "name": fit(form.name.data.strip()),
        "description": fit((form.description.data or "").replace("\r\n", "\n").strip()),
        "config": config_of(_object(form.config.data)),
        "context": _object(form.context.data),
        "metadata": believed(_object(form.metadata.data)),
    }
    if before is None:
        return AssistantSpec(**{**said, "description": said["description"] or None, "context": said["context"] or None})
    is_new: Callable[[str], bool] = lambda name: said[name] != (getattr(before, name) or _NOTHING[name])  # noqa: E731
    return AssistantSpec(**{name: value for name, value in said.items() if is_new(name)})


_NOTHING: dict[str, Any] = {
    "graph_id": "",
    "name": "",
    "description": "",
    "config": {},
    "context": {},
    "metadata": {},
}


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
