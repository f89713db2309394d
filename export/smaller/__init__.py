"""Smaller and faster bundles: int8 graphs, students of a teacher."""
