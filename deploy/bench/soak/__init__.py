"""Load held for minutes while one part after the other is killed, frozen and cut off."""
