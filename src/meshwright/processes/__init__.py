"""Holder, supervisor, DNS and forwarder: the processes that carry traffic. Standard library only."""
