"""The smallest service there can be: it counts what it is told. For tests of the backbone."""
