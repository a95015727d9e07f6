"""The next item is made while one is in use, and nothing else changes for whoever uses them."""

import threading

import pytest

from ticket_events_pipeline.summarize.ahead import ahead


def test_items_come_in_order_and_all():
    assert list(ahead(iter([]))) == []
    assert list(ahead([1, None, 3])) == [1, None, 3]


def test_the_next_item_is_made_while_one_is_in_use():
    is_made = {number: threading.Event() for number in range(3)}

    def items():
        for number, made in is_made.items():
            made.set()
            yield number

    for number in ahead(items()):
        assert is_made[min(number + 1, 2)].wait(10)


def test_no_item_is_made_before_the_one_two_before_it_was_taken():
    made = []
    items = ahead(made.append(number) or number for number in range(10))
    assert next(items) == 0
    items.close()
    assert made in ([0], [0, 1])


def test_what_goes_wrong_is_raised_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    seen = []
    with pytest.raises(ValueError, match="the third"):
        seen.extend(ahead(items()))
    assert seen == [1, 2]
