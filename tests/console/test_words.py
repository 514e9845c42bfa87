"""Every text of the page is there in both languages, and every flag of this Envoy has words."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from meshwright.cli.flag_words import FLAGS, flag_words
from meshwright.evaluator.sentences import EXPLAINED
from meshwright.evaluator.values import Outcome, Verdict
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.sentence import Phrasebook
from meshwright.wiring.receipts import in_words
from meshwright.wiring.sentences import CHANGES, INSTEAD, REFUSALS, WITHHELD
from meshwright.wiring.tls_steps import Stage

PAGES = Path(str(files("meshwright.console"))) / "static"
EVALUATOR = Path(str(files("meshwright.evaluator")))
PAIR = re.compile(r'^  (?:"([^"]+)"|(\w+)): \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\],', re.MULTILINE)
CHINESE = re.compile("[\u4e00-\u9fff\u3001\uff01-\uff5e]")  # with its punctuation
QUOTED = re.compile(r'"([\w. -]+)"')
SLOT = re.compile(r"\{\w+\}")
SENTENCE = re.compile(r'^  "([^"]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
BOOKS = (EXPLAINED, CHANGES, INSTEAD, WITHHELD, REFUSALS)


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
        used |= set(re.findall(r'"((?:column|panel|edge|tls|diff|login|live|view|problem)\.[a-z.]+)"', text))
    assert used - set(words) == set()
    built = re.compile(
        r"^(stage|step|problem|verdict|outcome|node|diff|tls|live|lost|paused|connecting|locked|legend|service)"
    )
    names = {
        name for page in PAGES.glob("*.js") if page.name != "words.js" for name in QUOTED.findall(page.read_text())
    }
    assert {key for key in words if not built.match(key)} - used - names == set()


def test_every_sentence_of_the_mesh_has_chinese_words() -> None:
    chinese = dict(SENTENCE.findall(text_of("sentences.js")))
    assert len(chinese) == text_of("sentences.js").count('": "')
    english: dict[str, str] = {}
    for book in BOOKS:
        assert not english.keys() & book.texts.keys()
        english |= book.texts
    assert chinese.keys() == english.keys()
    for key, text in english.items():
        assert CHINESE.search(chinese[key]), key
        assert sorted(SLOT.findall(text)) == sorted(SLOT.findall(chinese[key])), key


def test_every_stage_and_verdict_of_an_explanation_has_words() -> None:
    words = pairs("words.js")
    said = (EVALUATOR / "evaluate.py").read_text() + (EVALUATOR.parent / "wiring" / "explaining.py").read_text()
    stages = set(re.findall(r'(?:_say|_fail|Step)\("([a-z ]+)"', said)) | {"destination"}
    assert len(stages) > 15
    assert {f"stage.{each}" for each in stages} - set(words) == set()
    assert {f"verdict.{each.value}" for each in Verdict} - set(words) == set()
    assert {f"outcome.{each.value}" for each in Outcome} - set(words) == set()
    assert {f"step.{each.name.lower()}" for each in Stage} - set(words) == set()


@pytest.mark.parametrize("instead", INSTEAD.texts.values())
def test_what_is_withheld_reads_as_its_diagnostic(instead: str) -> None:
    origin = Origin(ObjectRef("VirtualService", "default", "reviews"), "spec")
    for found in (
        Diagnostic(codes.ROUTE_WITHHELD, origin, ("v1", "reviews", instead)),
        Diagnostic(codes.SUBSET_KEPT, origin, ("v1", "reviews")),
    ):
        assert str(in_words(found)) == f"reviews: {found.message}"
        assert in_words(found).as_json()["values"]["subset"] == "v1"


def test_sentences_in_lists_and_in_each_other() -> None:
    book = Phrasebook({"a": "{x} of {y}", "b": "all: {parts}", "c": "odd (as {x}.)"})
    parts = (book.say("a", x=1, y="{y}"), book.say("a", x=2, y="z"))
    assert str(book.say("b", parts=parts)) == "all: 1 of {y}; 2 of z"
    assert str(book.say("b", parts=("1", "2"))) == "all: 1, 2"
    values = [{"key": "a", "values": {"x": 1, "y": "{y}"}}, {"key": "a", "values": {"x": 2, "y": "z"}}]
    assert book.say("b", parts=parts).as_json() == {"key": "b", "values": {"parts": values}}
    assert book.read("odd (as it is.)") == book.say("c", x="it is")
    assert book.read("odd (as it is!)") is None


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
