"""Deliver the webhooks of runs that have ended.

1. A claim takes the one that has been due longest and pushes it ahead of the time that a delivery may take, so that
   no other clock sends it meanwhile. A clock that dies now has lost nothing: it becomes due again, with the same id.
2. It is sent. What the receiver answers, or that it does not, is noted on the row; the next one takes its slot.
3. After a failure it is due again later, later each time; after the last one it is dead until somebody replays it.

The slots are a limit of this process, and one receiver gets a single one until it has answered well, and never more
than half of them. So receivers that hang hold up nobody else, and the clock's other acts not at all.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.webhooks import Receipt, Webhook, pause_seconds
from deerflow.logs import bound
from deerflow.storage import webhooks

log = logging.getLogger(__name__)

_MARGIN_SECONDS = 5.0
"""How much longer than a delivery a claim lasts: for the way to the database and back."""
_MOST_REMEMBERED = 1_000


class Sends(Protocol):
    """Who sends them: ``hooks.send.Sender``."""

    async def send(self, webhook: Webhook, payload: dict[str, Any]) -> Receipt:
        """Send one; whatever happens is told by the receipt."""


class Deliveries:
    """The webhooks that this clock is sending; ``close`` lets go of them."""

    def __init__(self, backend: WorkerBackend, sender: Sends) -> None:
        self._backend = backend
        self._sender = sender
        self._slots = backend.rules.webhook_slots
        self._lease = timedelta(seconds=backend.rules.webhook_timeout_seconds + _MARGIN_SECONDS)
        self._held: dict[UUID, str] = {}  # the webhooks that are being sent, and their receivers
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling = asyncio.Lock()
        self._closing = asyncio.Event()
        self._well: set[str] = set()  # receivers whose last answer was good

    async def notify(self) -> None:
        """Begin what is due, as far as there are slots; does not wait for any receiver."""
        async with self._filling:
            while len(self._held) < self._slots and not self._closing.is_set():
                claimed = await self._backend.sql(self._claim, self._full())
                if claimed is None:
                    return
                self._held[claimed[0].webhook_id] = claimed[0].receiver
                delivery = asyncio.create_task(self._deliver(*claimed))
                self._tasks.add(delivery)
                delivery.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop; what was not answered yet is sent again when its claim has lapsed."""
        self._closing.set()
        async with self._filling:
            pass
        await asyncio.gather(*self._tasks)

    def _full(self) -> list[str]:
        """The receivers that have all the slots they may have."""
        held = Counter(self._held.values())
        most = max(1, self._slots // 2)
        return [receiver for receiver, count in held.items() if count >= (most if receiver in self._well else 1)]

    def _claim(self, full: Iterable[str]) -> tuple[Webhook, dict[str, Any]] | None:
        with self._backend.db.read() as tx:
            if not webhooks.any_due(tx):
                return None
        with self._backend.db.begin() as tx:
            return webhooks.claim(tx, lease=self._lease, besides=list(full))

    async def _deliver(self, webhook: Webhook, payload: dict[str, Any]) -> None:
        """Send one, note what came of it, and let the next one have the slot."""
        try:
            with bound(run_id=webhook.run_id, thread_id=webhook.thread_id, webhook_id=webhook.webhook_id):
                receipt = await self._unless_closing(self._send(webhook, payload))
                if receipt is None:
                    return
                self._remember(webhook.receiver, well=receipt.is_delivered)
                await self._backend.sql(self._note, webhook, receipt)
        except Exception:
            log.exception("What came of a webhook could not be noted; it is sent again")
        finally:
            self._held.pop(webhook.webhook_id, None)
        try:
            await self.notify()
        except Exception:  # the clock looks again in a second
            log.warning("The next webhook could not be claimed", exc_info=True)

    async def _unless_closing(self, sending: Coroutine[Any, Any, Receipt]) -> Receipt | None:
        """What came of it; None when it was cut off because the clock stops."""
        send, stop = asyncio.create_task(sending), asyncio.create_task(self._closing.wait())
        await asyncio.wait({send, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if send.done():
            return send.result()
        send.cancel()
        await asyncio.wait({send})
        return None

    async def _send(self, webhook: Webhook, payload: dict[str, Any]) -> Receipt:
        if webhook.tries > self._backend.rules.webhook_tries:
            return Receipt(error="the clock was lost at each of the last tries")
        try:
            return await self._sender.send(webhook, payload)
        except Exception as error:
            log.exception("Webhook could not be sent")
            return Receipt(error=f"{type(error).__name__} while sending")

    def _remember(self, receiver: str, *, well: bool) -> None:
        if not well:
            self._well.discard(receiver)
        elif len(self._well) < _MOST_REMEMBERED:
            self._well.add(receiver)

    def _note(self, webhook: Webhook, receipt: Receipt) -> None:
        facts = {"receiver": webhook.receiver, "tries": webhook.tries, "answer": receipt.status}
        if receipt.is_delivered:
            with self._backend.db.begin() as tx:
                webhooks.delivered(tx, webhook, receipt)
            log.info("Webhook delivered", extra=facts)
            return
        pause = self._pause(webhook, receipt)
        with self._backend.db.begin() as tx:
            webhooks.failed(tx, webhook, receipt, again_seconds=pause)
        facts["reason"] = receipt.error
        if pause is None:
            log.warning("Webhook given up; replay it with: flask --app app webhooks replay", extra=facts)
        else:
            log.info("Webhook failed", extra={**facts, "again_seconds": round(pause)})

    def _pause(self, webhook: Webhook, receipt: Receipt) -> float | None:
        if receipt.is_final or webhook.tries >= self._backend.rules.webhook_tries:
            return None
        return pause_seconds(webhook.tries, retry_after=receipt.retry_after, chance=random.random())
