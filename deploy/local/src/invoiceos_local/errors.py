"""What can go wrong with the infrastructure, said in one sentence each."""


class Unavailable(Exception):  # noqa: N818 - the name that callers read
    """A piece of infrastructure cannot be had; the message names what to install or set."""


class NotReady(Exception):  # noqa: N818
    """A process was started and did not become ready."""
