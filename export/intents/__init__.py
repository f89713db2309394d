"""What customers ask: the questions that the intent model learns from, and its training."""
