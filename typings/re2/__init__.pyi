# What we use of google-re2, which brings no types.
class Options:
    log_errors: bool
    max_mem: int

class _Regexp:
    def fullmatch(self, text: str) -> object | None: ...
    def sub(self, repl: str, text: str) -> str: ...

class error(Exception): ...  # noqa: N801, N818

def compile(pattern: str, options: Options | None = ...) -> _Regexp: ...
