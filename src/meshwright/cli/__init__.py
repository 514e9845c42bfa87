"""argv becomes text and an exit code; one file per command, loaded lazily."""
