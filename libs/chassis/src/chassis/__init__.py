"""What every service stands on: settings, logs, telemetry, health, problems, assembly."""
