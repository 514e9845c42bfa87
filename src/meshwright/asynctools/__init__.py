"""Tools for asyncio that carry no meaning of their own."""
