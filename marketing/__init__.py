"""Campaigns: who is in which segment, whom to address, and what it brought."""
