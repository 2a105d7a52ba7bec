"""What every played provider stands on: time, chance, state, the exchange, deliveries."""
