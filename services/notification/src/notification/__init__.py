"""E-mail, outbound webhooks."""
