"""What can be read: payments, how the providers are, and how payments are routed."""
