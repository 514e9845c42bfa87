"""What the mesh means: frozen values that every other package speaks in. Knows nothing of ours."""
