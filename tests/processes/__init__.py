"""The processes that carry traffic, on real namespaces: as root, as an ordinary user, and with none at all."""
