"""Rules of notification: pure, no I/O, no clock."""
