"""Cells in the percent format: `# %% Title [beamq] estimate="10 min" pause=true progress=40`.

A cell is a step of the job. Its marker is a comment, so the script runs everywhere; here a call is put
in front of the cell's first statement, which changes neither line numbers nor meaning. A marker that
cannot be understood is worth a note, never a refusal.
"""

import ast
import difflib
import io
import re
import tokenize

MARKER = re.compile(r"^#\s?%%(?!%)(?P<rest>.*)$")
ANY_MARKER = re.compile(r"^\s*#\s?%%(?!%)", re.MULTILINE)
TAG = re.compile(r"\[(?P<tag>[A-Za-z_]+)\]")
# What was meant as the tag: in other brackets, without the closing one, or with the options inside.
NEARLY_TAG = re.compile(r"[\[({<]\s*beamq\b", re.IGNORECASE)
# A duration is also understood where its quotes were forgotten.
OPTION = re.compile(
    r"""(?P<key>[A-Za-z_]\w*)\s*=\s*(?P<value>"[^"]*"|'[^']*'|\d+(?:\.\d+)?\s+(?:s|sec|min|m|h|d)\b(?!\s*=)|\S+)"""
)
DURATION = re.compile(r"^(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|sec|min|m|h|d)?$")
SECONDS = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
KEYS = ("estimate", "pause", "progress")
# Cells that hold no program.
TEXT_TAGS = ("markdown", "md", "raw")
# The name of the call that is put into the script; a builtin, so the script's names stay its own.
CALL = "__beamq_cell__"


class Cell:
    """A step of a script."""

    def __init__(self, line, title):
        self.line = line
        self.title = title
        self.estimate = None
        self.pause = False
        self.progress = None
        self.low = None
        self.high = None


def find_cells(source):
    """The cells of a script, and notes on what is wrong with their markers."""
    if not ANY_MARKER.search(source):
        return [], []
    cells, notes = [], []
    for line, column, comment in comments(source):
        match = MARKER.match(comment)
        if not match:
            continue
        if column > 0:
            notes.append("line %d: a cell marker within a block is not a step; it belongs at the margin" % line)
            continue
        cell = read_marker(line, match.group("rest"), len(cells) + 1, notes)
        if cell is not None:
            cells.append(cell)
    place(cells)
    return cells, notes


def comments(source):
    """Line, column and text of every comment; what only looks like one, in a string, is not."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.start[1], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # The compiler will say it better.


def read_marker(line, rest, number, notes):
    """One marker, or None for a cell that is text."""
    tag, name = find_tag(rest)
    meant = NEARLY_TAG.search(rest) if name is None else None
    end = tag or meant
    title = (rest[: end.start()] if end else rest).strip() or "Cell %d" % number
    cell = Cell(line, title)
    if meant:
        option = OPTION.search(rest, meant.end())
        notes.append(
            "line %d: the tag stands alone in its brackets, before the options: [beamq] %s=…"
            % (line, option.group("key") if option else KEYS[0])
        )
    elif name in TEXT_TAGS:
        return None
    elif name is not None and name != "beamq":
        notes.append("line %d: unknown tag [%s]; did you mean [beamq]?" % (line, name))
    if name != "beamq":
        return cell
    options = rest[tag.end():]
    for match in OPTION.finditer(options):
        take_option(cell, match.group("key"), match.group("value").strip("\"'"), notes)
    left_over = OPTION.sub("", options).strip()
    if left_over:
        notes.append("line %d: %r in the cell marker is not understood; options are key=value" % (line, left_over))
    return cell


def find_tag(rest):
    """The tag of a marker and its name. A title may have words in brackets, such as a unit, so the tag is the
    first that is known, or else the first that looks like [beamq]; None and None without one."""
    tags = [(match, match.group("tag")) for match in TAG.finditer(rest)]
    known = [(match, name) for match, name in tags if name == "beamq" or name in TEXT_TAGS]
    near = [(match, name) for match, name in tags if difflib.get_close_matches(name.lower(), ["beamq"])]
    return (known + near + [(None, None)])[0]


def take_option(cell, key, value, notes):
    """Set one option of a cell, or note why not."""
    if key not in KEYS:
        near = difflib.get_close_matches(key.lower(), KEYS, 1, 0.5)
        advice = "did you mean %r?" % near[0] if near else "known keys are " + ", ".join(KEYS)
        notes.append("line %d: unknown key %r in the cell marker; %s" % (cell.line, key, advice))
        return
    problem = None
    if key == "estimate":
        match = DURATION.match(value)
        if match:
            cell.estimate = float(match.group("number")) * SECONDS[match.group("unit")]
        else:
            problem = 'a duration such as "10 min", "90 s" or "2 h"'
    elif key == "pause":
        if value.lower() in ("true", "false"):
            cell.pause = value.lower() == "true"
        else:
            problem = "true or false"
    else:
        try:
            progress = float(value.rstrip("%"))
        except ValueError:
            progress = -1.0
        if 0 <= progress <= 100:
            cell.progress = progress
        else:
            problem = "a number from 0 to 100"
    if problem:
        notes.append("line %d: %s=%r in the cell marker is not %s" % (cell.line, key, value, problem))


def place(cells):
    """Work out from which to which percentage each cell takes the job."""
    if any(cell.progress is not None for cell in cells):
        high = 100.0
        for cell in reversed(cells):
            cell.low, cell.high = cell.progress, high
            high = high if cell.progress is None else cell.progress
    elif len(cells) > 1:
        known = [cell.estimate for cell in cells if cell.estimate is not None]
        usual = sum(known) / len(known) if known else 1.0
        weights = [usual if cell.estimate is None else cell.estimate for cell in cells]
        total, done = sum(weights), 0.0
        if total > 0:
            for cell, weight in zip(cells, weights):
                cell.low = 100.0 * done / total
                done += weight
                cell.high = 100.0 * done / total


def insert_cells(tree, cells):
    """Put a call in front of the first statement of every cell. A cell that begins in the middle of a
    compound statement has no such place and is left out."""
    waiting = list(enumerate(cells))
    body = []
    end_of_previous = 0
    for position, statement in enumerate(tree.body):
        if must_come_first(statement, position):
            body.append(statement)
            continue
        decorators = getattr(statement, "decorator_list", [])
        begin = min([statement.lineno] + [d.lineno for d in decorators])
        while waiting and waiting[0][1].line < begin:
            number, cell = waiting.pop(0)
            if cell.line > end_of_previous:
                body.append(call_for(number, cell.line))
        body.append(statement)
        end_of_previous = statement.end_lineno or end_of_previous
    tree.body = body
    return tree


def must_come_first(statement, position):
    """Whether a statement only has its meaning at the top of a file."""
    docstring = (
        position == 0
        and isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
    return docstring or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def call_for(number, line):
    """The statement that tells of a cell, with the place of its marker."""
    name = ast.Name(id=CALL, ctx=ast.Load())
    call = ast.Expr(value=ast.Call(func=name, args=[ast.Constant(value=number)], keywords=[]))
    for node in ast.walk(call):
        node.lineno = node.end_lineno = line
        node.col_offset = node.end_col_offset = 0
    return call
