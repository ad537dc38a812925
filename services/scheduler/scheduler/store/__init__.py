"""Every SQL statement of the gateway, one file per group of tables."""
