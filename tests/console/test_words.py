"""Every text of the page is there in both languages, and every flag of this Envoy has words."""

import re
from importlib.resources import files
from pathlib import Path

from meshwright.cli.flag_words import FLAGS, flag_words

PAGES = Path(str(files("meshwright.console"))) / "static"
PAIR = re.compile(r'^  (?:"([^"]+)"|(\w+)): \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\],', re.MULTILINE)
CHINESE = re.compile("[\u4e00-\u9fff\uff01-\uff5e]")  # with its punctuation
QUOTED = re.compile(r'"([\w. -]+)"')
SLOT = re.compile(r"\{\w+\}")


def pairs(name: str) -> dict[str, tuple[str, str]]:
    text = (PAGES / name).read_text()
    return {found[0] or found[1]: (found[2], found[3]) for found in PAIR.findall(text)}


def text_of(name: str) -> str:
    return (PAGES / name).read_text()


def test_both_languages_are_complete() -> None:
    for name in ("words.js", "flags.js"):
        text, words = (PAGES / name).read_text(), pairs(name)
        assert len(words) == len(re.findall(r'^  (?:"[^"]+"|\w+): \[', text, re.MULTILINE))
        for key, (english, chinese) in words.items():
            assert english, key
            assert not CHINESE.search(english), key
            assert CHINESE.search(chinese), key
            assert sorted(SLOT.findall(english)) == sorted(SLOT.findall(chinese)), key


def test_all_keys_that_are_used_have_words() -> None:
    words = pairs("words.js")
    used: set[str] = set()
    for page in PAGES.iterdir():
        text = page.read_text()
        used |= set(re.findall(r'\bt\("([^"]+)"', text)) | set(re.findall(r'data-t(?:-label)?="([^"]+)"', text))
        used |= set(re.findall(r'"((?:column|panel|edge|tls|diff|login|live|view)\.[a-z.]+)"', text))
    assert used - set(words) == set()
    built = re.compile(r"^(stage|verdict|outcome|node|diff|tls|live|lost|paused|connecting|locked|legend|service)")
    names = {
        name for page in PAGES.glob("*.js") if page.name != "words.js" for name in QUOTED.findall(page.read_text())
    }
    assert {key for key in words if not built.match(key)} - used - names == set()


def test_every_flag_of_envoy_has_words() -> None:
    """The short names as Envoy documents them for its access log."""
    known = "LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO"
    assert set(known.split()) == set(pairs("flags.js"))


def test_the_command_line_says_of_flags_what_the_page_says() -> None:
    assert {name: words[0] for name, words in pairs("flags.js").items()} == dict(FLAGS)
    assert flag_words("UH,URX") == f"{FLAGS['UH']}, {FLAGS['URX']}"
    assert flag_words("-") == ""


def test_no_page_needs_anything_from_elsewhere() -> None:
    for page in PAGES.iterdir():
        text = page.read_text()
        foreign = re.findall(r"https?://[^\s\"'`<]+", text)
        assert set(foreign) <= {"http://www.w3.org/2000/svg"}, page
        assert ".innerHTML" not in text, page
