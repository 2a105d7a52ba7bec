"""What the gateway decides: pure functions and values."""
