"""`make demo`: one invoice through its whole life, then the cases that go otherwise."""
