"""A shop's events as flat arrays, and the questions that a protocol asks of them."""
