"""The error families. Each carries facts as attributes; none knows HTTP (``api/errors.py`` maps them).

DeerflowError
├── BadRequest        the request contradicts itself
├── Invalid           a value is not of its kind
├── Unauthenticated   nobody has said, or proved, who is calling
├── Forbidden         known caller, not allowed
├── NotFound          absent, or another owner's: the two look the same
├── Conflict          right request, wrong moment
├── TooLarge          more than a setting allows
├── RateLimited       too much of it for now
├── Unavailable       a part we need does not answer; try again later
├── ConfigError       a setting or langgraph.json is wrong: the start stops
├── HandlerRefused    a handler of the project says no, in its own words
├── HandlerFailed     a handler of the project is broken: nobody is let in by it
└── Fenced            a write came from an attempt that is over (inside the worker only)
"""


class DeerflowError(Exception):
    """Any error of ours; its text is one sentence for the caller."""


class BadRequest(DeerflowError):
    """The request contradicts itself."""


class Invalid(DeerflowError):
    """A value is not of its kind."""


class Unauthenticated(DeerflowError):
    """Nobody has said, or proved, who is calling."""


class Forbidden(DeerflowError):
    """The caller is known and may not do this."""


class NotFound(DeerflowError):
    """What was asked for does not exist, or not for this caller."""


class Conflict(DeerflowError):
    """The request is right but the moment is not."""


class TooLarge(DeerflowError):
    """What was sent is larger than a setting allows; the text names both."""


class RateLimited(DeerflowError):
    """Too much of it for now; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DeerflowError):
    """A part we need does not answer; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConfigError(DeerflowError):
    """A setting or the project's langgraph.json is wrong; the text says what to change."""


class HandlerRefused(DeerflowError):
    """A handler of the project says no; how, it says itself. ``headers`` go with the answer."""

    def __init__(self, message: str, *, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class HandlerFailed(DeerflowError):
    """A handler of the project is broken; what is wrong is for the log, not for the caller."""


class Fenced(DeerflowError):
    """A write of an attempt that is over was refused; the attempt must stop and store nothing."""
