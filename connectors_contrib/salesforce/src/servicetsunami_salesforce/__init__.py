"""Salesforce source connector for ServiceTsunami."""
