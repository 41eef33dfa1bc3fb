"""The sections of the panel, from top to bottom; each knows its widgets and nothing of another."""
