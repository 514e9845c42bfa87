"""The wired processes: the only package that knows both the compiler and the shells."""
