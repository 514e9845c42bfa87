"""The four services of Bookinfo: productpage, details, reviews, ratings."""
