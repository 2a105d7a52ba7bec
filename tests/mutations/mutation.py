"""One planted fault: an exact text of a product file, what is put in its place, who must notice."""

import shlex
from dataclasses import dataclass

SIMULATE = "simulate"
"""Suite that is the deterministic simulator; what follows the word is passed on to it."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault that somebody could make, and the suite that must fail because of it."""

    name: str
    sentence: str
    """What the changed code does."""
    file: str
    """Product file, from the root of the checkout."""
    old: str
    """Occurs exactly once in the file."""
    new: str
    suite: str
    """Arguments of pytest, separated by spaces; or `simulate` and the simulator's own."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The suite, argument by argument."""
        return tuple(shlex.split(self.suite))

    @property
    def is_simulated(self) -> bool:
        """Whether the simulator is to notice."""
        return self.arguments[0] == SIMULATE

    @property
    def changes_schema(self) -> bool:
        """Whether databases must be migrated anew to contain it."""
        return self.file.endswith(".sql")

    def planted_in(self, text: str) -> str:
        """The file's text with the fault; raises `NoLongerApplies`."""
        found = text.count(self.old)
        if found != 1:
            raise NoLongerApplies(f"{self.file} holds the text to be changed {found} times")
        return text.replace(self.old, self.new)


class NoLongerApplies(Exception):
    """The product has moved on: the mutation must be written anew."""
