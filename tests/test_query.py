import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance import Query, QueryError


def test_queries_are_values_that_add_up() -> None:
    dog, plate, night = Query.text("a dog"), Query.picture(Path("pictures/plate.png")), Query.text("at night")
    query = dog + 0.5 * plate - 2 * night
    assert [term.weight for term in query.terms] == [1, 0.5, -2]
    assert query == Query.sum([dog, plate * 0.5, -(night * 2)])
    assert hash(query) == hash(dog + plate * 0.5 - night * 2)
    assert str(query) == '"a dog" + 0.5 [plate.png] - 2 "at night"'


def test_a_single_text_reads_as_it_was_typed() -> None:
    assert str(Query.text("a dog")) == "a dog"
    assert str(2 * Query.text("a dog")) == '2 "a dog"'
    assert str(-Query.text("a dog")) == '- "a dog"'
    assert str(Query.picture(b"12345")) == "[a picture of 5 bytes]"


def test_white_space_in_a_query_is_collapsed() -> None:
    assert str(Query.text(" a\nred\u00a0\u3000dog\u200b ").usable()) == "a red dog"
    with pytest.raises(QueryError, match="at least one word"):
        Query.text("\u3000\u200b\n").usable()


def test_a_vector_is_a_part_of_a_query_whatever_its_length() -> None:
    assert Query.vector(np.array([3, 0, 4], np.float32)) == Query.vector([0.6, 0, 0.8])
    assert str(Query.text("a dog") + Query.vector([1.0, 2.0])) == '"a dog" + [a vector of 2 values]'
    for wrong in ([], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], [[1.0]]):
        with pytest.raises(QueryError, match="expected a vector of numbers that are not all zero"):
            Query.vector(wrong)


def test_a_picture_of_pillow_is_named_by_its_size() -> None:
    assert str(Query.picture(Image.new("RGB", (80, 60)))) == "[a picture of 80 x 60]"


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 1e39, -1e7])
def test_a_weight_is_a_number_that_can_be_added_up(weight: float) -> None:
    with pytest.raises(QueryError, match='expected the weight of "a dog" to be a number from -1,000,000 to 1,000,000'):
        Query.text("a dog") * weight
    assert str(Query.text("a dog") * 1e6 - Query.text("a cat") * 1e6) == '1e+06 "a dog" - 1e+06 "a cat"'


def test_what_is_neither_a_text_nor_a_query_is_refused_with_the_way_to_write_it() -> None:
    assert Query.of("a dog") == Query.text("a dog")
    assert Query.of(Query.text("a dog")) == Query.text("a dog")
    with pytest.raises(QueryError, match=r"got ndarray: write Query\.vector"):
        Query.of(np.zeros(4))
