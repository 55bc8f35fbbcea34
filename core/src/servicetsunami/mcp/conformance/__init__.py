"""What the official conformance suite calls by name, served by our own host; `tsunami serve --conformance`."""
