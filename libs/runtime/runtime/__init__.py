"""What every service needs and none is about: settings, logs, heartbeat, clean stop, sealing."""
