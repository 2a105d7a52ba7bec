"""Type checks at the border of the package: exact types, nothing that merely behaves alike."""


def require_int(name: str, value: object) -> None:
    """Refuse everything but a real int; a bool is not an amount. Raises TypeError."""
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")


def require_bool(name: str, value: object) -> None:
    """Refuse everything but a real bool. Raises TypeError."""
    if type(value) is not bool:
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")


def require_type(name: str, value: object, expected: type) -> None:
    """Refuse an object of another class. Raises TypeError."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be {expected.__name__}, not {type(value).__name__}")
