"""Small pieces of asyncio that every shell shares.

Knows nothing of ours. `latest.Latest` is the newest value of something, without a queue.
"""
