"""Published sets go out over delta xDS: wire framing, sessions, phases, receipts."""
