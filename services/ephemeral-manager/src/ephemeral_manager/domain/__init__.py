"""How an ephemeral wallet lives and ends: states, lateness of money, guard, certificate."""
