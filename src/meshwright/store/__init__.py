"""Writes become versioned objects that can be listed, watched, undone, and are never lost."""
