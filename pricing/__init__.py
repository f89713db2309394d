"""Prices: how demand answers to them, and which to suggest."""
