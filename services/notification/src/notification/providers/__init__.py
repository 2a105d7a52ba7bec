"""What talks to the outside: receivers of webhooks and the mail server."""
