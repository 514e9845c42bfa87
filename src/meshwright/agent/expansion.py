"""References `$(NAME)` in commands, arguments and values are replaced as Kubernetes does it."""

from collections.abc import Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value; unknown names stay as written; `$$` stands for one `$`."""
    pieces: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        pieces.append(text[position:dollar])
        piece, position = _reference(text, dollar, variables)
        pieces.append(piece)
    pieces.append(text[position:])
    return "".join(pieces)


def _reference(text: str, dollar: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """What stands for the text from `dollar` on, and where the rest begins."""
    following = text[dollar + 1]
    if following == "$":
        return "$", dollar + 2
    if following == "(" and (end := text.find(")", dollar)) >= 0:
        name = text[dollar + 2 : end]
        return variables.get(name, f"$({name})"), end + 1
    return "$", dollar + 1
