"""Holder, supervisor, DNS and forwarder: the processes that carry traffic. Standard library only.

The ground floor: imports nothing of ours. Begin with `__main__`; others speak to the holder by
`holder_client.HolderClient`.
"""
