"""docs/cli.md says what the commands say."""

from tools.cli_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python tools/cli_page.py"
