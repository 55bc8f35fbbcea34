"""Google Sheets source connector for ServiceTsunami."""
