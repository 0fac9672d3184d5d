"""The estimate expressions of a catalogue, evaluated independently of the server, for the tests."""

import math
import re

TOKEN = re.compile(r'\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?)|"([^"]*)"|([A-Za-z_][\w.]*)|(<=|>=|==|!=|&&|\|\||[-+*/<>?:!(),]))')


class Unknown(Exception):
    """The estimate cannot be told."""


class Evaluation:
    def __init__(self, text, arguments, state):
        self.tokens = self._split(text)
        self.arguments = arguments
        self.state = state

    @staticmethod
    def _split(text):
        tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = TOKEN.match(text, at)
            assert match, "cannot be read: %r" % text[at:]
            number, string, name, mark = match.groups()
            if number is not None:
                tokens.append(("number", float(number)))
            elif string is not None:
                tokens.append(("text", string))
            else:
                tokens.append(("name", name) if name is not None else ("mark", mark))
            at = match.end()
        return tokens + [("end", None)]

    def value(self):
        thunk = self.choice()
        assert self.tokens[0][0] == "end", self.tokens
        return thunk()

    def take(self, *marks):
        kind, text = self.tokens[0]
        if kind == "mark" and text in marks:
            return self.tokens.pop(0)[1]
        return None

    # Every rule returns a function, so that the branch that is not taken is not evaluated.

    def choice(self):
        condition = self.binary(0)
        if not self.take("?"):
            return condition
        one = self.choice()
        assert self.take(":")
        other = self.choice()
        return lambda: one() if condition() else other()

    LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/"))

    def binary(self, level):
        if level == len(self.LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while True:
            mark = self.take(*self.LEVELS[level])
            if mark is None:
                return left
            left = self.joined(mark, left, self.binary(level + 1))

    @staticmethod
    def joined(mark, left, right):
        def divide():
            divisor = right()
            if divisor == 0:
                raise Unknown
            return left() / divisor

        return {
            "||": lambda: left() or right(), "&&": lambda: left() and right(),
            "==": lambda: left() == right(), "!=": lambda: left() != right(),
            "<": lambda: left() < right(), "<=": lambda: left() <= right(),
            ">": lambda: left() > right(), ">=": lambda: left() >= right(),
            "+": lambda: left() + right(), "-": lambda: left() - right(),
            "*": lambda: left() * right(), "/": divide,
        }[mark]

    def unary(self):
        if self.take("!"):
            inner = self.unary()
            return lambda: not inner()
        if self.take("-"):
            inner = self.unary()
            return lambda: -inner()
        if self.take("("):
            inner = self.choice()
            assert self.take(")")
            return inner
        kind, value = self.tokens.pop(0)
        if kind != "name":
            return lambda: value
        if self.take("("):
            return self.call(value)
        return lambda: self.named(value)

    def call(self, name):
        if name == "given":
            kind, parameter = self.tokens.pop(0)
            assert kind == "name" and self.take(")")
            return lambda: self.arguments.get(parameter) is not None
        given = [self.choice()]
        while self.take(","):
            given.append(self.choice())
        assert self.take(")")
        function = {"min": min, "max": max, "abs": abs, "floor": math.floor, "ceil": math.ceil, "round": round}[name]
        return lambda: function(*(one() for one in given)) if len(given) > 1 else function(given[0]())

    def named(self, name):
        if name in ("true", "false"):
            return name == "true"
        if name.startswith("state."):
            return self.state[name[len("state."):]]
        if self.arguments.get(name) is None:
            raise Unknown
        return self.arguments[name]


def seconds(text, arguments, state):
    """The seconds of an estimate; None when they cannot be told."""
    try:
        return float(Evaluation(str(text), arguments, state).value())
    except Unknown:
        return None
