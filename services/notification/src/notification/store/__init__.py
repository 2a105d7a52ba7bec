"""SQL of this service: one function a statement, arrays in, rows out."""
