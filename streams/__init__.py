"""Kafka's side: the session worker, its snapshots and dead letters, and the Faust app."""
