"""The forms of the pages. flask-wtf guards each with the session's token; what a field may hold, the accounts say."""

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, HiddenField, PasswordField
from wtforms.validators import EqualTo, InputRequired

from deerflow.errors import Invalid


class SetUp(FlaskForm):  # type: ignore[misc]
    """Who becomes the administrator."""

    token = HiddenField()
    email = EmailField(_("E-mail"), [InputRequired(_("Enter your e-mail address."))])
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))])
    again = PasswordField(_("Password again"), [EqualTo("password", _("The two passwords are not the same."))])


class Password(FlaskForm):  # type: ignore[misc]
    """A password that is set by a one-time link."""

    token = HiddenField()
    password = PasswordField(_("Password"), [InputRequired(_("Choose a password."))])
    again = PasswordField(_("Password again"), [EqualTo("password", _("The two passwords are not the same."))])


class SignIn(FlaskForm):  # type: ignore[misc]
    """Who signs in."""

    next = HiddenField()
    email = EmailField(_("E-mail"), [InputRequired(_("Enter your e-mail address."))])
    password = PasswordField(_("Password"), [InputRequired(_("Enter your password."))])
    remember = BooleanField(_("Stay signed in"))


def tell(form: FlaskForm, error: Invalid) -> None:
    """Put what is wrong with a value beside its field; the text begins with the field's name."""
    name, _, sentence = str(error).partition(": ")
    named = form[name] if name in form and sentence else form["email"]
    text = sentence or str(error)
    named.errors = [*named.errors, f"{named.label.text} {text}."]


def wrong_token(form: FlaskForm) -> str | None:
    """Why the form's token does not count; None when it does."""
    errors = form.errors.get("csrf_token")
    return gettext("This page was open for too long, or came from elsewhere: try again.") if errors else None
