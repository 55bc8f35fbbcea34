"""One function per thing a user can do; every front calls these."""
