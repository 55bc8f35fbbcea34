"""The system of record: tenants, connections, credentials, datasets, runs."""
