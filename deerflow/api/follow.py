"""Follow a run for the client of this request, as long as that may be."""

from deerflow.api.context import backend
from deerflow.domain.runs import Followed
from deerflow.identity import still_holds
from deerflow.runtime.join import Following


def follow(run: Followed, *, after: int | None) -> Following:
    """A reader of this run that ends when the run does, or when its caller may read no more."""
    return Following(backend(), run, after=after, still_holds=still_holds())
