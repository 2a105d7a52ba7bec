"""Private keys of ours that act on chains; read once, and never shown."""

from pathlib import Path


def key_in(path: Path) -> str:
    """A private key from its file; raises `ValueError` that does not show what is in it."""
    text = path.read_text().strip().removeprefix("0x")
    if len(text) != 64 or set(text.lower()) - set("0123456789abcdef"):
        message = f"{path} holds no key: 64 hexadecimal digits"
        raise ValueError(message) from None
    return "0x" + text
