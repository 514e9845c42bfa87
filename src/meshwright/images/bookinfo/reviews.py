"""Bookinfo's reviews service: two reviews; from version 2 on with stars that it asks of ratings."""

from __future__ import annotations

import os
import socket
import sys

from meshwright.images.bookinfo import common
from meshwright.images.client import Client, FetchError
from meshwright.images.server import Request, Response, json_object, json_response, port_argument, serve

_TEXTS = {
    "Reviewer1": "Two pairs of twins, one town and a day of wrong names. I laughed until the last door closed.",
    "Reviewer2": "Short, quick and sillier than its age suggests. Keep a list of who is who and enjoy the ride.",
}
# Versions with black stars wait longer than productpage does: Bookinfo's well-known time-out bug.
_BLACK_SECONDS = 10.0
_COLOUR_SECONDS = 2.5


class Reviews:
    """The service; with `stars` every review carries a rating in the given colour."""

    def __init__(self, *, stars: bool, color: str, pod: str, cluster: str) -> None:
        self._stars = stars
        self._color = color
        self._pod = pod
        self._cluster = cluster
        self._client = Client()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/health":
            return common.health("Reviews")
        number = request.path.removeprefix("/reviews/")
        if number == request.path or not number or "/" in number:
            return common.not_found()
        if not common.reading(request):
            return common.wrong_method("GET")
        return json_response(
            200,
            {
                "id": number,
                "podname": self._pod,
                "clustername": self._cluster,
                "reviews": self._reviews(number, request),
            },
        )

    def _reviews(self, number: str, request: Request) -> list[dict[str, object]]:
        reviews: list[dict[str, object]] = [{"reviewer": reviewer, "text": text} for reviewer, text in _TEXTS.items()]
        if self._stars:
            ratings = self._ratings(number, request)
            for review in reviews:
                stars = ratings.get(str(review["reviewer"]))
                review["rating"] = (
                    {"stars": stars, "color": self._color}
                    if isinstance(stars, int)
                    else {"error": "the ratings service is unavailable"}
                )
        return reviews

    def _ratings(self, number: str, request: Request) -> dict[str, object]:
        """Stars by reviewer; empty when ratings cannot be had."""
        seconds = _BLACK_SECONDS if self._color == "black" else _COLOUR_SECONDS
        headers = common.forwarded(request, common.END_USER)
        try:
            reply = self._client.fetch(f"{common.service_url('ratings')}/ratings/{number}", seconds, headers)
            ratings = json_object(reply.body).get("ratings") if reply.status == 200 else None
        except (FetchError, ValueError):
            return {}
        return {**ratings} if isinstance(ratings, dict) else {}


def main() -> int:
    """Run the service; the first argument may be a port."""
    reviews = Reviews(
        stars=common.enabled("ENABLE_RATINGS"),
        color=os.environ.get("STAR_COLOR") or "black",
        pod=os.environ.get("HOSTNAME") or socket.gethostname(),
        cluster=os.environ.get("CLUSTER_NAME") or "null",
    )
    return serve(reviews.handle, "reviews", port_argument(sys.argv[1:], common.PORT))


if __name__ == "__main__":
    sys.exit(main())
