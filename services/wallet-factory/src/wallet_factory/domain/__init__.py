"""How a wallet is decided: mode by rules, rail by order and health, address by permutation."""
