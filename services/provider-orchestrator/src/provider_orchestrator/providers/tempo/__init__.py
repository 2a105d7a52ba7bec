"""Tempo: JSON-RPC to a node, logs to transfers, sweeps from a cursor."""
