"""Random Python values as pickles, and the JSON that each stands for by a mapping of its own.

    random_values.py write SEED COUNT    prints COUNT lines: protocol, pickle in base64, JSON
    random_values.py read                reads lines with a pickle in base64, prints the JSON of each value
    random_values.py operations          prints the byte of every operation that there is

The mapping looks at the values, never at pickles, so that it cannot share a mistake with what it checks.
"""

import _compat_pickle
import base64
import collections
import copyreg
import datetime
import decimal
import fractions
import json
import math
import pickle
import pickletools
import random
import sys
import uuid

RECURSIVE = {"$recursive": True}


def full_name(thing, protocol):
    module, name = thing.__module__, thing.__qualname__
    if protocol < 3:
        if (module, name) in _compat_pickle.REVERSE_NAME_MAPPING:
            module, name = _compat_pickle.REVERSE_NAME_MAPPING[module, name]
        elif module in _compat_pickle.REVERSE_IMPORT_MAPPING:
            module = _compat_pickle.REVERSE_IMPORT_MAPPING[module]
    return module + "." + name


def in_base64(data):
    return base64.b64encode(bytes(data)).decode()


def has_surrogates(text):
    return any(0xD800 <= ord(character) < 0xE000 for character in text)


def is_plain_key(key):
    return type(key) is str and not key.startswith("$") and not has_surrogates(key)


class Mapping:
    """The JSON of values as they are pickled with one protocol."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.path = []

    def json(self, value):
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**63 else {"$int": str(value)}
        if kind is float:
            if math.isnan(value):
                return {"$float": "nan"}
            if math.isinf(value):
                return {"$float": "inf" if value > 0 else "-inf"}
            return value
        if kind is str:
            if has_surrogates(value):
                return {"$wtf8": in_base64(value.encode("utf-8", "surrogatepass"))}
            return value
        if kind in (bytes, bytearray):
            return {"$bytes": in_base64(value)}
        if kind is type or callable(value):
            return {"$global": full_name(value, self.protocol)}
        if id(value) in self.path:
            return dict(RECURSIVE)
        self.path.append(id(value))
        try:
            return self.container(value, kind)
        finally:
            self.path.pop()

    def container(self, value, kind):
        if kind in (list, tuple):
            return [self.json(member) for member in value]
        if kind in (set, frozenset):
            return {"$set": sorted((self.json(member) for member in value), key=repr)}
        if kind is dict:
            if all(map(is_plain_key, value)):
                return {key: self.json(member) for key, member in value.items()}
            return {"$map": self.pairs(value.items())}
        return self.object(value)

    def pairs(self, pairs):
        return [[self.json(key), self.json(member)] for key, member in pairs]

    def object(self, value):
        registered = copyreg.dispatch_table.get(type(value))
        reduced = registered(value) if registered else value.__reduce_ex__(self.protocol)
        maker, args, state, items, pairs = (tuple(reduced) + (None,) * 5)[:5]
        named = {}
        if maker is copyreg.__newobj_ex__:
            maker, args, named = args
        elif maker is copyreg.__newobj__:
            maker, args = args[0], args[1:]
        elif maker is copyreg._reconstructor:
            maker, args = args[0], args[2:]
        written = {"$object": full_name(maker, self.protocol)}
        if args:
            written["args"] = [self.json(member) for member in args]
        if named:
            written["kwargs"] = self.json(named)
        if state is not None:
            written["state"] = self.json(state)
        items = list(items or ())
        if items:
            written["items"] = [self.json(member) for member in items]
        pairs = self.pairs(pairs or ())
        if pairs:
            written["pairs"] = pairs
        return written


class Plain:
    def __init__(self, **members):
        self.__dict__.update(members)


class Slotted:
    __slots__ = ("one", "two")


class ListOfItsOwn(list):
    pass


class DictOfItsOwn(dict):
    pass


class Point(collections.namedtuple("Point", "x y")):
    pass


class Reduced:
    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return Reduced, self.args


class Named:
    """Made with named arguments, which only protocol 4 can say."""

    def __new__(cls, *, size):
        made = super().__new__(cls)
        made.size = size
        return made

    def __getnewargs_ex__(self):
        return (), {"size": self.size}


CHARACTERS = "abc XYZ019$\"'\\\n\r\t\0\x1a\x7f\x80\x85\xa0\xad\xe4\xff\u0100\u20ac\u200b\u2028\uffff\U0001f600\ud800\udfff"
GLOBALS = [int, str, dict, len, ValueError, range, collections.OrderedDict, datetime.datetime, Plain, Point]


class Values:
    def __init__(self, seed, protocol):
        self.random = random.Random(seed)
        self.protocol = protocol
        self.made = []

    def text(self):
        return "".join(self.random.choices(CHARACTERS, k=self.random.choice([0, 1, 2, 5, 20, 300])))

    def integer(self):
        bits = self.random.choice([1, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 100, 2000, 2100])
        edge = self.random.choice([0, 1, -1])
        number = self.random.choice([2**bits + edge, self.random.getrandbits(bits)])
        return self.random.choice([number, -number])

    def float(self):
        choose = self.random
        return choose.choice(
            [0.0, -0.0, 0.1, 1e16, 1e-5, 1e300, 5e-324, math.inf, -math.inf, math.nan, choose.random(), choose.gauss(0, 1e6)]
        )

    def bytes(self):
        return bytes(self.random.choices(range(256), k=self.random.choice([0, 1, 3, 10, 300])))

    def scalar(self):
        choice = self.random.randrange(9)
        if choice == 0:
            return None
        if choice == 1:
            return self.random.choice([True, False])
        if choice <= 3:
            return self.integer()
        if choice == 4:
            return self.float()
        if choice <= 6:
            return self.text()
        return self.bytes() if choice == 7 else bytearray(self.bytes())

    def hashable(self, depth):
        choice = self.random.randrange(8)
        if choice == 0 and depth > 0:
            return tuple(self.hashable(depth - 1) for _ in range(self.random.randrange(4)))
        if choice == 1 and depth > 0:
            return frozenset(self.hashable(depth - 1) for _ in range(self.random.randrange(4)))
        while True:
            value = self.scalar()
            # NaN would be equal to nothing, not even to what is read back.
            if type(value) is not bytearray and value == value:
                return value

    def members(self, depth):
        return [self.value(depth - 1) for _ in range(self.random.choice([0, 1, 2, 3, 4, 7]))]

    def value(self, depth):
        if depth == 0 or self.random.random() < 0.35:
            return self.scalar()
        if self.made and self.random.random() < 0.15:
            return self.random.choice(self.made)
        value = self.container(depth)
        self.made.append(value)
        return value

    def dictionary(self, depth, make_key):
        return {make_key(): self.value(depth - 1) for _ in range(self.random.choice([0, 1, 2, 5]))}

    def container(self, depth):
        choose = self.random
        kinds = 24 if self.protocol >= 4 else 23
        kind = choose.randrange(kinds)
        if kind <= 2:
            return self.members(depth)
        if kind <= 4:
            return tuple(self.members(depth))
        if kind <= 6:
            return self.dictionary(depth, lambda: choose.choice("abcdefg") + str(choose.randrange(5)))
        if kind == 7:
            return self.dictionary(depth, lambda: self.hashable(2))
        if kind == 8:
            return self.dictionary(depth, self.text)
        if kind == 9:
            return {self.hashable(2) for _ in range(choose.randrange(6))}
        if kind == 10:
            return frozenset(self.hashable(2) for _ in range(choose.randrange(6)))
        if kind == 11:
            # Contains itself.
            value = self.members(depth)
            value.insert(0, value)
            return value
        if kind == 12:
            value = {}
            value["self"] = (value, self.value(depth - 1))
            return value
        if kind == 13:
            value = Plain(**self.dictionary(depth, lambda: choose.choice("abcdefg")))
            if choose.random() < 0.3:
                value.me = value
            return value
        if kind == 14:
            # Protocols before 2 cannot write objects with slots.
            if self.protocol < 2:
                return Plain(one=self.value(depth - 1))
            value = Slotted()
            value.one = self.value(depth - 1)
            return value
        if kind == 15:
            value = ListOfItsOwn(self.members(depth))
            value.extra = self.scalar()
            return value
        if kind == 16:
            return DictOfItsOwn(self.dictionary(depth, lambda: self.hashable(1)))
        if kind == 17:
            return Point(self.value(depth - 1), self.value(depth - 1))
        if kind == 18:
            return Reduced(*self.members(depth))
        if kind == 19:
            return choose.choice(
                [
                    complex(choose.random(), 2),
                    datetime.datetime(2026, 1, 2, 3, 4, 5, choose.randrange(10**6)),
                    datetime.timedelta(seconds=choose.random()),
                    decimal.Decimal("1.50"),
                    fractions.Fraction(1, 3),
                    uuid.UUID(int=choose.getrandbits(128)),
                    range(3, 9, 2),
                    slice(1, None),
                ]
            )
        if kind == 20:
            value = choose.choice([ValueError, KeyError, RuntimeError, ZeroDivisionError])(*self.members(depth))
            if choose.random() < 0.3:
                value.device = self.scalar()
            return value
        if kind == 21:
            factory = choose.choice([list, int, None])
            value = choose.choice([collections.OrderedDict(), collections.defaultdict(factory)])
            value.update(self.dictionary(depth, lambda: self.hashable(1)))
            return value
        if kind == 22:
            return choose.choice(GLOBALS)
        return Named(size=self.value(depth - 1))


def write(seed, count):
    for number in range(count):
        protocol = number % (pickle.HIGHEST_PROTOCOL + 1)
        value = Values(f"{seed} {number}", protocol).value(5)
        # Both picklers: the one in C and the one in Python, which sometimes choose other operations.
        dumps = pickle.dumps if number % 3 else pickle._dumps
        data = dumps(value, protocol)
        expected = Mapping(protocol).json(value)
        print(protocol, in_base64(data), json.dumps(expected, allow_nan=False), sep="\t")


def read():
    for line in sys.stdin:
        value = pickle.loads(base64.b64decode(line))
        print(json.dumps(Mapping(pickle.HIGHEST_PROTOCOL).json(value), allow_nan=False))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "operations":
        for operation in pickletools.opcodes:
            print(ord(operation.code))
    else:
        read()
