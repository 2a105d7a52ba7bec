"""What all chains have in common: JSON-RPC to a node, transfers of tokens, sweeps from a cursor."""
