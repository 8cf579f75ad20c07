"""Attend a thread: all that its runs say, one after the other, those to come too; it has no end."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.events import Entry
from deerflow.domain.principal import Principal
from deerflow.domain.turns import Spot, Turn
from deerflow.domain.words import RunStatus
from deerflow.events.tails import Follower
from deerflow.events.wakeups import Watch
from deerflow.runtime.listening import Heartbeat, Listening
from deerflow.storage import turns

_AT_ONCE = 100
_BEHIND_ALL = (1 << 31) - 1


@dataclass(frozen=True)
class Said:
    """What a run has said next."""

    turn: Turn
    entries: list[Entry]

    @property
    def spot(self) -> Spot:
        """The last of it."""
        return Spot(self.turn.ordinal, self.entries[-1].place)


@dataclass(frozen=True)
class Over:
    """A run has ended, and all of it was told. ``place`` is one behind its last entry.

    ``is_paused``: it has left nodes to run. A run that was rolled back or deleted while it was followed is told as
    interrupted.
    """

    turn: Turn
    place: int
    is_paused: bool

    @property
    def spot(self) -> Spot:
        """The end's own."""
        return Spot(self.turn.ordinal, self.place)


class Attending(Listening):
    """One reader of a thread. Iterating yields what runs say, their ends, and heartbeats, until it is interrupted.

    *after*: behind which spot it begins; None: only what comes from now on. Runs whose logs are no longer kept are
    left out. A thread that is not there, or is not this caller's, is one on which nothing has happened yet.

    Words of two runs never mix: one that has begun is told to its end before another one's. It is the one that runs:
    a thread has one at a time.
    """

    def __init__(
        self,
        backend: Backend,
        principal: Principal,
        thread_id: UUID,
        *,
        after: Spot | None,
        still_holds: Callable[[], bool],
    ) -> None:
        super().__init__(backend, still_holds=still_holds)
        self._principal, self._thread_id = principal, thread_id
        self._after = self._spot = after
        self._from_now = after is None
        """Whether what was before the first look is not wanted; until that has seen all runs."""
        self._upto = max(after.ordinal - 1, 0) if after is not None else 0
        """The number up to which runs are known."""
        self._known: dict[UUID, Turn] = {}
        """The runs that are still to be told, or to be told further."""
        self._places: dict[UUID, int] = {}
        """How far those of them were heard of which anything was."""
        self._current: UUID | None = None
        """The run that has begun and was not told to its end."""
        self._followers: dict[UUID, tuple[Follower, ExitStack]] = {}

    def __iter__(self) -> Iterator[Said | Over | Heartbeat]:
        """Attend until interrupted; while the log or the database is away there are heartbeats, and no end."""
        return self._insist(self._attend)

    @property
    def spot(self) -> Spot | None:
        """Behind which spot to go on; None for who wants what comes from now on, before the first look."""
        return self._spot

    def _attend(self) -> Generator[Said | Over | Heartbeat, None, None]:
        """Subscribe, then look: a run that is submitted while we subscribe is in the rows, one that comes later rings.

        A run that is over by its row has said all that it says, so its log is read after its row. What was told, and
        how far, outlives this call, so it can be called again.
        """
        with ExitStack() as stack:
            watch = self._watch = stack.enter_context(self._backend.threads.follow(self._thread_id))
            stack.callback(self._leave_all)
            look = True
            while not self._stopped:
                look |= watch.clear()
                look = look and self._look()
                told, known = False, len(self._known)
                for step in self._tell(watch):
                    told, self._spot = True, step.spot
                    yield step
                told |= len(self._known) != known  # also one of which nothing is kept
                while not (told or look or self._rung(watch)):
                    yield Heartbeat()
                    self._look_after_all()

    def _look(self) -> bool:
        """Look at the rows: runs that have come, and what has become of those that we know. Whether there are more."""
        rules = self._backend.rules
        kept_seconds = max(rules.keep_log_seconds, rules.keep_resumable_log_seconds)
        with self._backend.db.read() as tx:
            now = turns.these(tx, self._principal, list(self._known)) if self._known else {}
            come = turns.after(
                tx, self._principal, self._thread_id, self._upto, kept_seconds=kept_seconds, limit=_AT_ONCE
            )
        for run_id, turn in self._known.items():
            self._known[run_id] = now.get(run_id) or turn.vanished(datetime.now(UTC))
        for turn in come:
            self._upto = turn.ordinal
            self._meet(turn)
        there_are_more = len(come) == _AT_ONCE
        if self._from_now and not there_are_more:
            self._from_now, self._spot = False, self._now()
        self._backend.threads.seen(self._thread_id, self._upto)
        return there_are_more

    def _meet(self, turn: Turn) -> None:
        """Begin to know a run."""
        if self._from_now:
            if turn.is_over:
                return
            self._places[turn.run_id] = self._backend.log.end(turn.run_id)
        elif self._after is not None and turn.ordinal == self._after.ordinal:
            self._places[turn.run_id] = self._after.place
        self._known[turn.run_id] = turn

    def _now(self) -> Spot:
        """Where who wants nothing of what was begins: before what runs or waits, else behind everything."""
        open_ones = (Spot(turn.ordinal, self._places.get(turn.run_id, 0)) for turn in self._known.values())
        return min(open_ones, default=Spot(self._upto, _BEHIND_ALL))

    def _tell(self, watch: Watch) -> Iterator[Said | Over]:
        """What one run has to say now; nothing when all was told."""
        for turn in self._candidates():
            if turn.is_over:
                yield from self._tell_the_rest(turn)
                return
            if entries := self._hear(turn, watch):
                self._current = turn.run_id
                yield Said(turn, entries)
                return

    def _candidates(self) -> list[Turn]:
        """Whose turn it may be: the one's that has begun; else the first's that has ended; else of all that wait."""
        if self._current is not None:
            return [self._known[self._current]]
        known = sorted(self._known.values(), key=lambda turn: turn.ordinal)
        return [turn for turn in known if turn.is_over][:1] or known

    def _hear(self, turn: Turn, watch: Watch) -> list[Entry]:
        """What a run that is in flight has said since we heard it last."""
        if turn.run_id not in self._followers:
            stack = ExitStack()
            follower = stack.enter_context(self._backend.tails.follow(turn.run_id, watch))
            follower.cursor = self._places.get(turn.run_id, 0)
            self._followers[turn.run_id] = follower, stack
        follower = self._followers[turn.run_id][0]
        entries = follower.read().entries
        self._places[turn.run_id] = follower.cursor
        return entries

    def _tell_the_rest(self, turn: Turn) -> Iterator[Said | Over]:
        """What a run that is over has said that was not told yet, and that it is over."""
        place, log = self._places.get(turn.run_id, 0), self._backend.log
        while (page := log.read(turn.run_id, place)).entries:
            place = self._places[turn.run_id] = page.entries[-1].place
            yield Said(turn, page.entries)
            if self._stopped:
                return
        last = page.end or place
        was_begun = turn.attempt > 0
        if (last > 0 or not was_begun) and not self._knew(Spot(turn.ordinal, last + 1)):
            is_paused = turn.status is RunStatus.SUCCESS and log.is_paused(turn.run_id)
            yield Over(turn, last + 1, is_paused)
        self._forget(turn)

    def _knew(self, spot: Spot) -> bool:
        """Whether who asks has heard of this already, on an earlier stream."""
        return self._after is not None and spot <= self._after

    def _forget(self, turn: Turn) -> None:
        del self._known[turn.run_id]
        self._places.pop(turn.run_id, None)
        self._current = None if self._current == turn.run_id else self._current
        if turn.run_id in self._followers:
            self._followers.pop(turn.run_id)[1].close()

    def _leave_all(self) -> None:
        while self._followers:
            self._followers.popitem()[1][1].close()
