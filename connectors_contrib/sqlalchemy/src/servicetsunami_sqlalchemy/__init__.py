"""SQL database source connector for ServiceTsunami."""
