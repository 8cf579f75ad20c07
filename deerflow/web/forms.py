"""The forms of the pages. flask-wtf guards each with the session's token, but for those for whom nobody knows yet;
what a field may hold, the accounts say.
"""

from typing import Any

from flask import current_app, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, Field, HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length

from deerflow.domain.principal import Scope
from deerflow.errors import Conflict, DeerflowError
from deerflow.identity.own_page import is_own_page
from deerflow.web.told import told, wrong_at
from deerflow.web.words import NAMES

_NOT_THE_SAME = _("The two passwords are not the same.")
_TOO_LONG = _("Enter at most %(max)d characters.")
_DAYS = {"7": _("7 days"), "30": _("30 days"), "90": _("90 days"), "365": _("1 year"), "": _("Never")}


def one_line(text: str | None) -> str | None:
    """What people call a thing of theirs: one line that can be printed."""
    return text and " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _choices(texts: dict[str, Any]) -> list[SelectChoice]:
    """What may be chosen, by what is sent."""
    return [SelectChoice(value, text) for value, text in texts.items()]


class _OwnPageOrToken(FlaskForm.Meta.csrf_class):  # type: ignore[misc]
    def validate_csrf_token(self, form: FlaskForm, field: Field) -> None:
        if not is_own_page(request):
            super().validate_csrf_token(form, field)


class _Anybodys(FlaskForm):  # type: ignore[misc]
    """A form for whom nobody knows yet: the word of their browser, whose page it is, is as good as the token.

    Tabs that open together, as when a browser comes back, are each given a pre-session and its token, of which the
    browser keeps the last.
    """

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        csrf_class = _OwnPageOrToken


class _Email(_Anybodys):
    email = EmailField(_("E-mail"), [InputRequired(_("Enter your e-mail address."))])


class _NewPassword(_Anybodys):
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))])
    again = PasswordField(_("Password again"), [EqualTo("password", _NOT_THE_SAME)])


class SetUp(_Email, _NewPassword):
    """Who becomes the administrator."""

    token = HiddenField()
    language = SelectField(_("Language"), choices=_choices(NAMES))


class Registration(_Email, _NewPassword):
    """Who makes an account of their own."""

    name = StringField(_("Name"), [Length(max=200, message=_TOO_LONG)], filters=[one_line])


class Password(_NewPassword):
    """A password that is set by a one-time link; whose it is, is told and not asked."""

    token = HiddenField()
    email = EmailField(_("E-mail"))


class SignIn(_Email):
    """Who signs in."""

    next = HiddenField()
    password = PasswordField(_("Password"), [InputRequired(_("Enter your password."))])
    remember = BooleanField(_("Stay signed in"))


class Profile(FlaskForm):  # type: ignore[misc]
    """How somebody is called, and how they want the pages."""

    name = StringField(_("Name"), [Length(max=200, message=_TOO_LONG)], filters=[one_line])
    language = SelectField(_("Language"), choices=_choices({"": _("As the browser has it"), **NAMES}))
    time_zone = SelectField(_("Time zone"))
    scheme = SelectField(
        _("Colours"), choices=_choices({"system": _("System"), "light": _("Light"), "dark": _("Dark")})
    )


class NewEmail(FlaskForm):  # type: ignore[misc]
    """Another e-mail."""

    email = EmailField(_("New e-mail"), [InputRequired(_("Enter your e-mail address."))])
    current = PasswordField(_("Your password"), [InputRequired(_("Enter your password."))])


class AnotherPassword(FlaskForm):  # type: ignore[misc]
    """Another password of who has one."""

    current = PasswordField(_("Password until now"), [InputRequired(_("Enter your password."))])
    password = PasswordField(_("New password"), [InputRequired(_("Choose a password."))])
    again = PasswordField(_("New password again"), [EqualTo("password", _NOT_THE_SAME)])


class NewKey(FlaskForm):  # type: ignore[misc]
    """Which API key is wanted. ``after``: the newest key when the form was shown, so that sent twice it makes one."""

    after = HiddenField()
    name = StringField(
        _("Name"),
        [DataRequired(_("Enter a name, so that you know it again.")), Length(max=100, message=_TOO_LONG)],
        filters=[one_line],
    )
    days = SelectField(_("Expires"), choices=_choices(_DAYS), default="90")
    scope = RadioField(
        _("Rights"), choices=_choices({scope.value: scope.value for scope in Scope}), default=Scope.RUN.value
    )


def tell(form: FlaskForm, error: DeerflowError, *, otherwise: str = "email") -> None:
    """Put what is wrong with a value beside its field, whose name the text begins with; else beside *otherwise*."""
    name, _, sentence = str(error).removeprefix("new_").partition(": ")
    if name in form and sentence and not isinstance(error, Conflict):
        add(form[name], wrong_at(form[name].label.text, error))
    else:
        add(form[otherwise], told(error))


def add(field: Field, sentence: str) -> None:
    """Say something beside a field."""
    field.errors = [*field.errors, sentence]


def wrong_token(form: FlaskForm) -> str | None:
    """Why the form's token does not count; None when it does."""
    errors = form.errors.get("csrf_token")
    return gettext("This page was open for too long, or came from elsewhere: try again.") if errors else None


def may_register() -> bool:
    """Whether people make accounts of their own here."""
    return current_app.config["DEERFLOW_AUTH"] == "accounts" and bool(current_app.config["DEERFLOW_REGISTRATION"])
