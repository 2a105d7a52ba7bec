"""Everything one sandbox has: time, chance, state, plan, timers, and who it plays."""

import asyncio
import secrets
from collections.abc import Mapping

from provider_sandbox.core.chance import Chance, Draw
from provider_sandbox.core.clock import Clock
from provider_sandbox.core.deliveries import Deliveries
from provider_sandbox.core.faults import Plan
from provider_sandbox.core.provider import Provider
from provider_sandbox.core.store import Document, Store
from provider_sandbox.core.timers import Timers

_FARTHEST_STEPS = 1_000_000


class World:
    """One sandbox. Its methods never wait, except `advance` and what `deliveries` does."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        *,
        seed: int = 1,
        public_url: str = "http://127.0.0.1:8480",
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.providers = providers
        self.public_url = public_url.rstrip("/")
        self.clock = clock or Clock()
        saved = store.find("sandbox", "clock")
        if saved:
            self.clock.restore(saved)
        self.plan = Plan.model_validate(store.find("sandbox", "plan") or {})
        self.chance = Chance(store, self._remembered_seed(seed))
        self.timers = Timers(store, "timer")
        self.deliveries = Deliveries(self)
        self.busy: set[str] = set()
        """Idempotency keys whose request is being answered now."""
        self._moving = asyncio.Lock()

    def _remembered_seed(self, seed: int) -> int:
        found = self.store.find("sandbox", "seed")
        if found is None:
            found = {"seed": seed}
            self.store.put("sandbox", "seed", found)
        return int(found["seed"])

    def now(self) -> float:
        """The sandbox's time in seconds."""
        return self.clock.now()

    def draw(self, label: str) -> Draw:
        """A draw of chance; also what identifiers are made of."""
        return self.chance.next(label)

    def use_plan(self, plan: Plan) -> None:
        """Let the plan hold from now on."""
        self.plan = plan
        self.store.put("sandbox", "plan", plan.model_dump(mode="json"))

    def save_clock(self) -> None:
        """Let a restart go on at the same time."""
        self.store.put("sandbox", "clock", dict(self.clock.saved()))

    def later(self, seconds: float, action: str, argument: Document) -> None:
        """Let an action of a provider (`stripe.payout_arrives`) happen after a while."""
        self.timers.set(self.now() + seconds, action, argument)

    def settle(self) -> None:
        """Let everything happen that is due; deliveries go their own way."""
        while timer := self.timers.take(self.now()):
            self._happen(timer)
            self.timers.done(timer)

    def _happen(self, timer: Document) -> None:
        provider, _, action = timer["action"].partition(".")
        self.providers[provider].actions()[action](self, timer["argument"])

    def tell(self, provider: str, event: Document) -> None:
        """Send an event to everybody who asked for it, with the habits of the plan."""
        self.deliveries.begin(self.providers[provider], event)

    def state_fact(self, provider: str, kind: str, about: Document) -> None:
        """Write down what really happened; `about` has object, reference, amount and currency."""
        self.store.add_fact({"at": self.now(), "provider": provider, "kind": kind, **about})

    async def advance(self, seconds: float) -> None:
        """Move time ahead; what falls due on the way happens at its time, in order."""
        async with self._moving:
            await self.deliveries.send_due()
            target = self.now() + seconds
            for _ in range(_FARTHEST_STEPS):
                due = [at for at in (self.timers.next_at(), self.deliveries.next_at()) if at]
                step = min(due, default=target)
                if step > target:
                    break
                self.clock.forward_to(step)
                self.settle()
                await self.deliveries.send_due()
                if not due:
                    break
            self.clock.forward_to(target)
            self.save_clock()
            self.store.flush()

    def pause_until_due(self, longest_s: float) -> float:
        """Seconds of real time until something is due, at most `longest_s`."""
        due = [at for at in (self.timers.next_at(), self.deliveries.next_at()) if at is not None]
        soonest = min(due, default=None)
        if soonest is None:
            return longest_s
        return max(0.0, min(longest_s, soonest - self.now()))

    def secret(self, name: str, made: str = "") -> str:
        """A secret of this sandbox that a restart keeps; made when it is first asked for."""
        found = self.store.find("secret", name)
        if found is None:
            found = {"value": made or secrets.token_hex(16)}
            self.store.put("secret", name, found)
        return str(found["value"])
