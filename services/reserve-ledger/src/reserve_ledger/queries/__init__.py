"""Reading the books: as they are, as they were at any moment, and whether they are whole."""
