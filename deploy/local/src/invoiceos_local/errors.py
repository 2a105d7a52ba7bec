"""What can go wrong with the infrastructure, said in one sentence each."""


class Unavailable(Exception):
    """A piece of infrastructure cannot be had; the message names what to install or set."""


class NotReady(Exception):
    """A process was started and did not become ready."""
