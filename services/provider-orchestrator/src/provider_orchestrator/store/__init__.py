"""SQL: one function a statement, arrays in, rows out."""
