"""What the host owns below its plugins: settings, addresses, files, redaction, and the context plugins get."""
