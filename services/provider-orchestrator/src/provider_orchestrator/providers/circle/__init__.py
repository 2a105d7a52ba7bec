"""Circle: stablecoins that payers send to addresses, refunds, transfers."""
