"""The HTML of Bookinfo's productpage."""

from __future__ import annotations

PRODUCTS: list[dict[str, object]] = [
    {
        "id": 0,
        "title": "The Comedy of Errors",
        "descriptionHtml": (
            "An early farce by <b>William Shakespeare</b>, and one of his shortest plays. Twin brothers, each "
            "with a servant who is a twin as well, were parted as infants in a shipwreck. When one pair comes "
            "to the town of the other, wives, merchants and creditors take each for his brother, until "
            "nobody is sure of anything."
        ),
    }
]
"""The catalogue: one book."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_DETAILS = (
    ("Author", "author"),
    ("Year", "year"),
    ("Type", "type"),
    ("Pages", "pages"),
    ("Publisher", "publisher"),
    ("Language", "language"),
    ("ISBN-10", "ISBN-10"),
    ("ISBN-13", "ISBN-13"),
)
_STAR = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="{}"/></svg>'.format(
    "M10 1.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8L10 14.9l-5.2 2.7 1-5.8L1.6 7.7l5.8-.8z"
)
_MOST_STARS = 5


def escape(value: object) -> str:
    """Text that may stand in HTML and in attributes."""
    return "".join(_ENTITIES.get(each, each) for each in str(value))


def layout(title: str, header: str, main: str) -> str:
    """A whole page."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/bookinfo.css">
</head>
<body>
<header><div class="bar"><a class="brand" href="/productpage"><i></i>Bookinfo</a>{header}</div></header>
<main>
{main}
</main>
</body>
</html>
"""


def index(services: list[tuple[str, str, str]]) -> str:
    """The page that lists the services behind the product page."""
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(url)}</code></td><td>{escape(caller)}</td></tr>"
        for name, url, caller in services
    )
    main = f"""<section class="card">
<h1>Bookinfo</h1>
<p>A small bookshop made of four services. Open the product page as a guest, or log in there.</p>
<p><a class="button" href="/productpage">Open the product page</a></p>
<h2>Services behind the page</h2>
<table><thead><tr><th>Service</th><th>Address</th><th>Called by</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</section>"""
    return layout("Simple Bookstore App", "", main)


def product(
    book: dict[str, object],
    details: tuple[int, dict[str, object]],
    reviews: tuple[int, dict[str, object]],
    user: str,
) -> str:
    """The product page; `details` and `reviews` are status and JSON as the services gave them."""
    main = f"""<section class="book">
<div class="cover" aria-hidden="true"><span>The Comedy<br>of Errors</span><small>Shakespeare</small></div>
<div class="about"><h1>{escape(book["title"])}</h1>
<p>{book["descriptionHtml"]}</p></div>
</section>
<div class="columns">
{_details(*details)}
{_reviews(*reviews)}
</div>"""
    return layout("Simple Bookstore App", _session(user), main)


def _session(user: str) -> str:
    if user:
        name = escape(user)
        return (
            f'<div class="session"><span>Logged in as <b id="user">{name}</b></span>'
            '<a class="button" href="/logout">Log out</a></div>'
        )
    return (
        '<form class="session" method="post" action="/login">'
        '<input name="username" aria-label="User name" placeholder="User name" autocomplete="username" '
        'maxlength="64" required>'
        '<input name="passwd" type="password" aria-label="Password" placeholder="Password" '
        'autocomplete="current-password"><button class="button">Log in</button></form>'
    )


def _details(status: int, value: dict[str, object]) -> str:
    if status != 200:
        return _problem("details", "Book details", status, "Details are unavailable right now.")
    rows = "".join(
        f"<dt>{label}</dt><dd>{escape(value[key])}</dd>" for label, key in _DETAILS if value.get(key) is not None
    )
    return f'<section class="card" id="details"><h2>Book details</h2><dl>{rows}</dl></section>'


def _reviews(status: int, value: dict[str, object]) -> str:
    reviews = value.get("reviews")
    if status != 200 or not isinstance(reviews, list):
        return _problem("reviews", "Book reviews", status, "Reviews are unavailable right now.")
    entries: list[object] = [*reviews]
    cards = "\n".join(_review(entry) for entry in entries)
    pod, cluster = str(value.get("podname", "")), str(value.get("clustername", "null"))
    place = f" in cluster {escape(cluster)}" if cluster != "null" else ""
    served = f'<p class="served">Reviews served by <code id="podname">{escape(pod)}</code>{place}</p>'
    return f'<section class="card" id="reviews"><h2>Book reviews</h2>\n{cards}\n{served}</section>'


def _review(entry: object) -> str:
    review: dict[object, object] = {**entry} if isinstance(entry, dict) else {}
    rating = review.get("rating")
    return (
        f"<blockquote><p>{escape(review.get('text', ''))}</p>"
        f"<footer><cite>{escape(review.get('reviewer', ''))}</cite>{_rating(rating)}</footer></blockquote>"
    )


def _rating(rating: object) -> str:
    if not isinstance(rating, dict):
        return ""
    values: dict[object, object] = {**rating}
    stars, color = values.get("stars"), values.get("color", "black")
    if not isinstance(stars, int):
        return '<span class="missing">Ratings are unavailable right now.</span>'
    full = max(0, min(_MOST_STARS, stars))
    icons = _STAR * full + _STAR.replace("<svg", '<svg class="off"') * (_MOST_STARS - full)
    name = "red" if color == "red" else "black"
    return (
        f'<span class="stars {name}" data-stars="{full}" data-color="{escape(color)}" role="img" '
        f'aria-label="{full} of {_MOST_STARS} stars">{icons}</span>'
    )


def _problem(name: str, title: str, status: int, text: str) -> str:
    return (
        f'<section class="card problem" id="{name}" data-status="{status}"><h2>{title}</h2>'
        f"<p><b>{text}</b></p><p>The {name} service answered too late or with an error (status {status}). "
        "The rest of the page does not depend on it.</p></section>"
    )
