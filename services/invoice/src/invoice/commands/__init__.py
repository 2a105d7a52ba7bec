"""Use cases: load all, decide each, save all, stage all."""
