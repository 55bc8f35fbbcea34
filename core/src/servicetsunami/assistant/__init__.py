"""Helps to understand tables: evidence first, computed by the warehouse, for whoever reasons, a model or a person."""
