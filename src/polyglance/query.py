"""Queries: weighted sums of texts, pictures and vectors.

Query.text("a small dog") + 0.5 * Query.picture("plate.png") - Query.text("at night")
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from polyglance.errors import QueryError
from polyglance.text import collapse_white_space

PictureSource = str | os.PathLike[str] | bytes | Image.Image
"""A picture file, the bytes of a file, or a PIL image."""

MAX_CHARACTERS: Final = 2_000
"""The maximum length of a query, a question or a text of a library. A longer text does not describe a picture."""
MAX_WEIGHT: Final = 1e6
"""The maximum absolute weight of a term. It keeps sums of weighted scores within the range of float32."""


@dataclass(frozen=True)
class Term:
    """A text, a picture or a vector of a query.

    weight: the weight in the sum; negative for what is not wanted.
    """

    text: str | None
    picture: PictureSource | None
    weight: float = 1.0
    vector: tuple[float, ...] | None = None

    def __str__(self) -> str:
        if self.text is not None:
            return f'"{self.text}"'
        if self.vector is not None:
            return f"[a vector of {len(self.vector):,} values]"
        if isinstance(self.picture, bytes):
            return f"[a picture of {len(self.picture):,} bytes]"
        if isinstance(self.picture, Image.Image):
            return f"[a picture of {self.picture.width:,} x {self.picture.height:,}]"
        return f"[{os.path.basename(self.picture or '')}]"


@dataclass(frozen=True)
class Query:
    """A weighted sum of texts, pictures and vectors.

    Raises:
        QueryError: the absolute value of a weight is not a number of at most `MAX_WEIGHT`.
    """

    terms: tuple[Term, ...]

    @staticmethod
    def of(query: object) -> "Query":
        """Returns a query as it is, and a text as a query.

        Raises:
            QueryError: `query` is neither.
        """
        if isinstance(query, Query):
            return query
        if isinstance(query, str):
            return Query.text(query)
        raise QueryError(
            f"expected a text or a Query, got {type(query).__name__}: write Query.vector(...) for a vector and "
            "Query.picture(...) for a picture"
        )

    def __post_init__(self) -> None:
        for term in self.terms:
            if not abs(term.weight) <= MAX_WEIGHT:
                raise QueryError(
                    f"expected the weight of {term} to be a number from {-MAX_WEIGHT:,.0f} to {MAX_WEIGHT:,.0f}, "
                    f"got {term.weight}"
                )

    def usable(self) -> "Query":
        """Returns the query with its texts as a model reads them.

        Raises:
            QueryError: no weight is positive, or a text cannot be used.
        """
        if not any(term.weight > 0 for term in self.terms):
            raise QueryError("expected a query with something that is wanted, but every weight is 0 or less")
        return Query(
            tuple(
                term if term.text is None else replace(term, text=usable_text(term.text, "query"))
                for term in self.terms
            )
        )

    @classmethod
    def text(cls, text: str) -> "Query":
        return cls((Term(text, None),))

    @classmethod
    def picture(cls, picture: PictureSource) -> "Query":
        return cls((Term(None, picture),))

    @classmethod
    def vector(cls, vector: ArrayLike) -> "Query":
        """Makes a query of a vector of the library's model, for example one that was computed elsewhere.

        vector: (embedding_dim,); it is scaled to unit length.

        Raises:
            QueryError: the vector is not one row of finite numbers, or all of them are zero.
        """
        values = np.asarray(vector, np.float64)
        length = np.linalg.norm(values)
        if values.ndim != 1 or not 0 < length < np.inf:
            raise QueryError(f"expected a vector of numbers that are not all zero, got shape {values.shape}")
        return cls((Term(None, None, vector=tuple((values / length).tolist())),))

    @classmethod
    def sum(cls, queries: "Sequence[Query]") -> "Query":
        return cls(tuple(term for query in queries for term in query.terms))

    def __add__(self, other: "Query") -> "Query":
        return Query(self.terms + other.terms)

    def __neg__(self) -> "Query":
        return self * -1

    def __sub__(self, other: "Query") -> "Query":
        return self + -other

    def __mul__(self, weight: float) -> "Query":
        return Query(tuple(replace(term, weight=term.weight * weight) for term in self.terms))

    __rmul__ = __mul__

    def __str__(self) -> str:
        """Formats the query as `"a small dog" + 0.5 [plate.png] - "at night"`. A single text gives that text."""
        if len(self.terms) == 1 and self.terms[0].text is not None and self.terms[0].weight == 1:
            return self.terms[0].text
        parts = []
        for number, term in enumerate(self.terms):
            sign = "-" if term.weight < 0 else "+" if number else ""
            weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}"
            parts += [part for part in (sign, weight, str(term)) if part]
        return " ".join(parts)


def usable_text(text: str, what: str) -> str:
    """Returns the text with its white space collapsed.

    what: the name of the text in error messages.

    Raises:
        QueryError: the text is empty, too long, or not valid UTF-8.
    """
    collapsed = collapse_white_space(text)
    if not collapsed:
        raise QueryError(f"expected a {what} of at least one word, but it is empty")
    if len(collapsed) > MAX_CHARACTERS:
        raise QueryError(
            f"expected a {what} of at most {MAX_CHARACTERS:,} characters, got {len(collapsed):,}; shorten it"
        )
    if not is_utf8(collapsed):
        raise QueryError(f"expected a {what} in valid UTF-8, got {printable(collapsed)!r}")
    return collapsed


def is_utf8(text: str) -> bool:
    """Returns whether a text is valid UTF-8. A file name that is not comes with surrogates, which cannot be stored."""
    return text == text.encode(errors="ignore").decode()


def printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
