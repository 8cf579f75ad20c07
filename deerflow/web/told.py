"""What the server says when something cannot be done, in the reader's language and as whole sentences.

Errors are English, wherever they are raised; their texts are told apart by what stands here. One that does not stand
here is told as it is. ``tests/guards/test_told.py`` finds those that are missing.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

from flask_babel import format_timedelta, gettext

from deerflow.errors import RateLimited

_LATER = "; try again later"
_ENDS = (".", "!", "?", "。")
_HOLE = re.compile(r"%\((\w+)\)s")
_FIELD = re.compile(r"\w+: ")


def told(error: Exception | str) -> str:
    """An error as one sentence for the reader; how long to wait is told as people say it."""
    sentence = str(error)
    if isinstance(error, RateLimited):
        return told_to_wait(sentence, error.retry_after)
    return _whole(in_words(sentence))


def told_to_wait(sentence: str, seconds: int) -> str:
    """What was too much, and when it can be done again."""
    facts = {"sentence": _whole(in_words(sentence.removesuffix(_LATER))), "time": _time(seconds)}
    return str(gettext("%(sentence)s Try again in %(time)s.", **facts))


def wrong_at(label: str, error: Exception) -> str:
    """What is wrong with a field, which the error's text begins with the name of."""
    wrong = in_words(_FIELD.sub("", str(error), count=1))
    return str(gettext("%(field)s %(wrong)s.", field=label, wrong=wrong))


def in_words(sentence: str) -> str:
    """The same in the reader's language."""
    text = sentence_of(sentence)
    found = text and _patterns()[text].fullmatch(sentence)
    if not (text and found):
        return sentence
    facts = found.groupdict()
    return str(gettext(REFUSALS.get(facts.get("permission", ""), text), **facts))


def sentence_of(sentence: str) -> str | None:
    """Which of the sentences this is; None when it is none of them."""
    return next((text for text, pattern in _patterns().items() if pattern.fullmatch(sentence)), None)


def _whole(sentence: str) -> str:
    return sentence if sentence.endswith(_ENDS) else str(gettext("%(sentence)s.", sentence=sentence))


def _time(seconds: int) -> str:
    """Never less than it is: after it, it works."""
    whole = seconds if seconds <= 60 else -(-seconds // 60) * 60  # noqa: PLR2004 - a minute
    return str(format_timedelta(timedelta(seconds=whole), threshold=2))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return dict(_compiled())


def _compiled() -> Iterator[tuple[str, re.Pattern[str]]]:
    for text in SENTENCES:
        pieces = _HOLE.split(text)
        escaped = (re.escape(piece) if even % 2 == 0 else f"(?P<{piece}>.+?)" for even, piece in enumerate(pieces))
        yield text, re.compile("".join(escaped), re.DOTALL)


def _(text: str) -> str:
    """Marks a text that is to be translated; which language it will be in is not known yet."""
    return text


SENTENCES = (
    # Who may, and how one is let in
    _("Wrong e-mail or password"),
    _("Too many failed sign-ins from this address"),
    _("Too many failed sign-ins to this account"),
    _("Too many wrong passwords"),
    _("Too many links that open nothing"),
    _("Too many wrong set-up links from this address"),
    _("Too many new accounts from this address"),
    _("Too many new e-mail addresses within an hour"),
    _("Too many unknown API keys came from this address"),
    _("Too many API keys were made within an hour"),
    _("Too many sign-ins at once; try again in a moment"),
    _("This API key may make %(most)s requests in a minute (DEERFLOW_KEY_REQUESTS_PER_MINUTE)"),
    _("Sign in, or send an API key in the header x-api-key"),
    _("This is not an API key of this server; its keys begin with df_"),
    _("This API key is revoked or expired"),
    _("This API key is not known here"),
    _("This needs the permission %(permission)s"),
    _("Accounts are switched off (DEERFLOW_AUTH=none)"),
    _("Nobody signs in with a password here (DEERFLOW_AUTH=%(mode)s)"),
    _("Registration is switched off here; ask an administrator for an account"),
    _("This account is disabled"),
    _("Sign in at the proxy in front of this server, or send an API key in x-api-key"),
    _("The proxy in front of this server must name one user: %(error)s"),
    _("Without authentication only callers on this machine are served"),
    _("Without authentication the host '%(host)s' is not served; use http://127.0.0.1"),
    _("Without authentication this server must not stand behind a proxy"),
    _("A page of another site may not call this server"),
    _("A page of another site may not do this here"),
    _("The origin '%(origin)s' may not call this server; DEERFLOW_CORS_ORIGINS names those that may"),
    _(
        "A page of %(origin)s may not do this here, at %(own)s. If they are the same, the proxy in between has to be "
        "named in DEERFLOW_TRUSTED_PROXIES and to send X-Forwarded-Proto and X-Forwarded-Host"
    ),
    _("The header %(header)s is missing or is not this session's: load the page again"),
    _("This is about a session, and nobody is signed in here with one"),
    _("Set-up is not finished: open the link in the server's log, or run: %(flask)s users setup-link"),
    _("Set-up is finished already, so this link is spent: sign in"),
    _("Set-up is finished already: sign in"),
    _(
        "This is not the set-up link of this server: open the link in the server's log, or run: %(flask)s users "
        "setup-link"
    ),
    _("This link has expired; ask for a new one"),
    _("This link is not one of this server; copy it whole, or ask for a new one"),
    _("This link has been used, or something else has changed the account since; ask for a new one"),
    # Accounts and keys
    _("must have at least %(fewest)s characters"),
    _("must not be longer than %(most)s characters"),
    _("must not be made of your e-mail address"),
    _("is one of those that are tried first; take, say, four words that nothing connects"),
    _("must be an e-mail address, such as ada@example.com"),
    _("is the one that you have"),
    _("is not your password"),
    _("must not be after %(time)s, when the key that makes this one expires"),
    _("a name has 1 to %(most)s printable characters and no comma"),
    _("There is an account with the e-mail %(email)s already"),
    _("Your account has been changed meanwhile; sign in again"),
    _("There are %(most)s good API keys already; revoke one that is not needed any more"),
    _("There is no administrator yet: create the administrator first, with --admin"),
    _("There is no account with the e-mail %(email)s; list them with: flask --app app users list"),
    _("This administrator is still to be set up; finish set-up first"),
    _("This is the last administrator; make somebody else one first"),
    # What is not there
    _("Invalid %(kind)s ID: must be a UUID"),
    _("There is no such file"),
    _("User with ID %(id)s not found"),
    _("Session with ID %(id)s not found"),
    _("API key with ID %(id)s not found"),
    _("Thread with ID %(id)s not found"),
    _("Run not found"),
    _("Assistant with ID %(id)s not found"),
    _("Assistant '%(name)s' not found"),
    _("Thread or assistant not found."),
    _("Version %(version)s not found for assistant %(id)s"),
    _("Graph '%(graph)s' not found. Graphs: %(graphs)s"),
    # Threads, runs, assistants
    _("Graph '%(graph)s' is not served any more. Graphs: %(graphs)s"),
    _("Invalid assistant: '%(name)s'. Must be an assistant's id or one of: %(graphs)s"),
    _("Assistant %(id)s already exists"),
    _(
        "Assistant %(id)s is the system's, and only administrators change it; create one of your own for the graph "
        "'%(graph)s'"
    ),
    _("Assistant %(id)s is the one of the graph '%(graph)s' and stays it; create another one for '%(other)s'"),
    _("Assistant %(id)s is the system's and goes with its graph: take '%(graph)s' out of langgraph.json instead"),
    _("Thread with ID %(id)s already exists, or was deleted and is still being removed"),
    _("Thread %(id)s has in-flight runs: %(runs)s. Delete the run when they have ended."),
    _("Thread %(id)s has in-flight runs: %(runs)s"),
    _("Thread '%(id)s' has no assigned graph ID. Run a graph on it first, or name one in its metadata."),
    _("The thread could not be made in time; try again"),
    _("Thread is already running a task. Wait for it to finish or choose a different multitask strategy."),
    _("The run has been told to stop and is still stopping; try again"),
    _(
        "%(most)s runs wait on this thread already, the most that the setting thread_queue_limit allows; try again "
        "when some have ended"
    ),
    _("config.recursion_limit: %(asked)s is more than the setting recursion_limit allows, %(most)s"),
    _("The audit can be had as csv or as json"),
    _("config.%(name)s: must be a list of texts"),
    _("config.%(name)s: must be an object"),
    _("config.%(name)s: must be a whole number from 1"),
    _("config.%(name)s: must be a text"),
    _("config.%(name)s: must be %(kind)s"),
    _("must be a whole number"),
    # Parts that do not answer
    _("The database does not answer; whether set-up is needed cannot be seen. Try again soon"),
    _("The database does not answer"),
    _("The database is busy; try again"),
    _("The database's schema is older than this release: flask --app app db upgrade"),
    _("The schema is at %(here)s, this release needs %(wanted)s"),
    _("Redis does not answer"),
    _("The event log does not answer"),
    _("The message broker does not answer"),
    _("No state worker answers; is one running?"),
    _("Nobody works on the queue %(queue)s"),
    _("This process is stopping"),
    # What was sent
    _("Internal Server Error (%(id)s)"),
    _("Invalid JSON in request body"),
    _("The request body must be a JSON object"),
    _("The request body ended early; send it again"),
    _("The request body nests deeper than %(most)s levels"),
    _("The request body is larger than %(most)s bytes, the most that the setting body_bytes allows"),
    _("The request body is larger than %(most)s bytes, the most that is read of who has not signed in"),
)

_FOR_ACCOUNTS = _("This is for people who sign in with an account here. Ask an administrator for one")

REFUSALS = {
    "users:read": _("Only administrators look after accounts. Ask one of them"),
    "users:write": _("Only administrators look after accounts. Ask one of them"),
    "audit:read": _("Only administrators read the audit. Ask one of them"),
    "system:read": _("Only administrators see how the server is doing. Ask one of them"),
    **dict.fromkeys(("keys:read", "keys:write", "account:read", "account:write"), _FOR_ACCOUNTS),
}
"""What is said in place of the name of a permission that is missing, which tells people nothing."""
