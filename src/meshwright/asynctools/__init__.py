"""Small pieces of asyncio that every shell shares."""
