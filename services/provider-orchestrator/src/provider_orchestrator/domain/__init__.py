"""What is decided here, without looking anything up: pure functions over values."""
