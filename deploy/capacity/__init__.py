"""How many of what for a given load: measured constants, sums over them, and a simulation."""
