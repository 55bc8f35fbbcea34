"""Files source connector."""
