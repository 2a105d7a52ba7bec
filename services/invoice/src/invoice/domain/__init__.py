"""What an invoice is and may become: pure, total, one item at a time."""
