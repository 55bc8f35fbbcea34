"""The page where a person gives the secrets of a connection, so that no model sees them."""
