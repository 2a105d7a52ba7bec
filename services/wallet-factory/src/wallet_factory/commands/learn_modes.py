"""Learn from what became of decisions; the model in use is loaded between transactions."""

import asyncio

from messaging import Database
from wallet_factory.commands.label_decisions import label_old
from wallet_factory.domain.learning import Learned, learn
from wallet_factory.domain.selector import Model
from wallet_factory.store import selector as store

_in_use: Model | None = None


def model_in_use() -> Model | None:
    """The version of the model this process decides by."""
    return _in_use


async def load_model(database: Database) -> Model | None:
    """Decide by the newest version from now on."""
    global _in_use
    _in_use = store.loaded(await store.latest(database))
    return _in_use


async def learn_modes(database: Database) -> int:
    """Label what is old enough, then learn the next labels; how many were learned.

    What was learned between two transactions counts only if nobody else has learned meanwhile: the
    labels are numbered and the version is stored together, under the learner's lock.
    """
    async with database.transaction() as tx:
        await label_old(tx)
        version, state = await store.latest(tx) or (0, Learned())
        wallets, labels = await store.new_labels(tx)
    if not labels:
        return 0
    first = state.labels + 1
    learned = await asyncio.to_thread(learn, state, labels)
    async with database.transaction() as tx:
        await store.lock_learning(tx)
        newest = await store.latest(tx)
        if (newest[0] if newest else 0) != version:
            return 0
        await store.number_labels(tx, first, wallets)
        await store.insert_model(tx, version + 1, learned)
    await load_model(database)
    return len(labels)


async def rebuild(database: Database) -> Learned:
    """The model made again from the log of labels alone."""
    async with database.transaction() as tx:
        labels = await store.learned_labels(tx)
    return await asyncio.to_thread(learn, Learned(), labels)
