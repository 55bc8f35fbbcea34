"""Files of object stores, through the host: every connection is made to an address that it has checked."""
