"""argv becomes text and an exit code; one file per command, loaded lazily.

The top floor. Begin with `main.main`, whose table lists the commands.
"""
