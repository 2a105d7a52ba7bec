"""A client's way to the broker: requests that take time, hang, or outlive the client."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError
from tests.simulator.node import Node

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka

NO_ANSWER = (KafkaConnectionError, RequestTimedOutError)
"""What a request ends with where the broker is away: nobody knows what became of it."""


class Connection:
    """What the producer and the consumer of a node have in common."""

    def __init__(self, kafka: "SimKafka", node: Node, timeout_ms: float) -> None:
        self._kafka = kafka
        self._timeout_s = timeout_ms / 1000
        self._context = contextvars.copy_context()
        self.node = node
        self.cut = False
        """The node crashed: nothing it does counts any more."""
        kafka.connected(self)

    async def request(self, apply: Callable[[], Any]) -> Any:
        """Let the broker do something when the request arrives; its answer, or its error.

        Raises one of `NO_ANSWER` where the broker is away when the request arrives or is answered,
        if it does not come back in time.
        """
        answer: asyncio.Future[Any] = self._kafka.future()
        if not self.cut:
            self._kafka.later(self._kafka.latency(), self._arrive, apply, answer)
        return await answer

    def _arrive(self, apply: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        if self.cut and not self._kafka.even():
            return
        if self._kafka.away:
            self._without_answer(answer, self._arrive, apply, answer)
            return
        try:
            result = apply()
        except KafkaError as error:
            self._reply(answer, error=error)
            return
        if isinstance(result, asyncio.Future):
            result.add_done_callback(lambda done: self._forward(done, answer))
            if not result.done():
                self._give_up_later(answer)
        else:
            self._reply(answer, result)

    def _forward(self, done: asyncio.Future[Any], answer: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            error = done.exception()
            self._reply(answer, None if error else done.result(), error)

    def _reply(
        self, answer: asyncio.Future[Any], result: Any = None, error: BaseException | None = None
    ) -> None:
        self._kafka.later(self._kafka.latency(), self._deliver, answer, result, error)

    def _deliver(
        self, answer: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        if self._kafka.away:
            self._without_answer(answer, self._settle, answer, result, error)
        else:
            self._settle(answer, result, error)

    def _without_answer(
        self, answer: asyncio.Future[Any], go_on: Callable[..., None], *arguments: Any
    ) -> None:
        """The connection breaks, or all is late, or the client's patience ends before that."""
        kafka = self._kafka
        outcome = kafka.chooser.choice(("broken", "late", "timed out"))
        if outcome == "broken":
            kafka.later(kafka.latency(), self._settle, answer, None, KafkaConnectionError())
        elif outcome == "late" and kafka.back_in_s < self._timeout_s:
            kafka.later(kafka.back_in_s + kafka.latency(), go_on, *arguments)
        else:
            self._give_up_later(answer)

    def _give_up_later(self, answer: asyncio.Future[Any]) -> None:
        self._kafka.later(self._timeout_s, self._settle, answer, None, RequestTimedOutError())

    def _settle(
        self, answer: asyncio.Future[Any], result: Any, error: BaseException | None = None
    ) -> None:
        if self.cut or answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)
