"""The steps from an empty file to the newest tables: SQL files, run in the order of their numbers."""
