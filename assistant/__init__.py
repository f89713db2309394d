"""Customers' questions: answered from the shop's own records and documents, or handed over."""
