"""What an evaluation found, as a page for people and as JSON for programs."""
