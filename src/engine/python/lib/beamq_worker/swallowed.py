"""Errors that a library prints and swallows.

Instrument libraries decorate their functions so that an error is printed and None returned, and the script
goes on as if nothing had happened. From outside such a call looks like any other. The decorator holds the
function proper in its closure; put between the two, a spy sees what passes.
"""

import functools


class Spy:
    """Remembers how the last call of the function proper ended."""

    def __init__(self):
        self._error = None

    def between(self, function):
        """The function, watched."""

        @functools.wraps(function)
        def watched(*given, **named):
            self._error = None
            try:
                return function(*given, **named)
            except Exception as error:
                self._error = error
                raise

        return watched

    def take(self):
        """The error that the last call ended with, once."""
        error, self._error = self._error, None
        return error


def spy_on(function):
    """Put a spy behind the innermost decorator of a function. Returns it, or None where that cannot be
    done: for a decorator that is a class, or that holds the function in some other way."""
    outer, inner, seen = function, getattr(function, "__wrapped__", None), set()
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        further = getattr(inner, "__wrapped__", None)
        if further is None:
            break
        outer, inner = inner, further
    for cell in getattr(outer, "__closure__", None) or ():
        try:
            if cell.cell_contents is inner:
                spy = Spy()
                cell.cell_contents = spy.between(inner)
                return spy
        except ValueError:  # An empty cell.
            continue
    return None
