"""Life and destruction of ephemeral wallets."""
