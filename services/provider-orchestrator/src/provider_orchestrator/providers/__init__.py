"""What stands between us and each provider."""
