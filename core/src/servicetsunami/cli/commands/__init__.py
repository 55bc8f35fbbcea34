"""One function per command: it parses, calls one operation and shows the result."""
