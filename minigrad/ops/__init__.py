"""The derivative table, a family a file; see each for its operations and their rules."""
