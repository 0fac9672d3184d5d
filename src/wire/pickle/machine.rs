//! Pickle's stack machine. It collects values and remembers calls; it never looks anything up and runs nothing.

mod calls;
mod scalars;

use super::{
    DecodeError, Limits,
    error::Read,
    input::Input,
    opcodes as op,
    tree::{Tree, Val},
};

/// The newest protocol.
const NEWEST: u8 = 5;

/// The tables are indexed with 32 bits and hold up to four values per operation: that is what lists that grow in turns
/// may need.
const VALUES_PER_OPERATION: usize = 4;
const MOST_OPERATIONS: usize = 1 << 28;

/// Room for so many values is made at once, if the payload is not too short to have them.
const SOME_VALUES: usize = 1024;

/// Runs a payload to its end; gives all values and the one that it stands for.
pub(super) fn run<'a>(bytes: &'a [u8], limits: &Limits) -> Read<(Tree<'a>, Val<'a>)> {
    if bytes.len() > limits.payload_bytes {
        return Err(Box::new(DecodeError::TooLarge { what: "bytes", limit: limits.payload_bytes }));
    }
    let operations = limits.operations.min(MOST_OPERATIONS);
    let most_values = VALUES_PER_OPERATION * operations.min(bytes.len());
    let mut machine = Machine {
        most_values,
        input: Input::new(bytes),
        tree: Tree::with_room_for(SOME_VALUES.min(bytes.len() / 8), most_values),
        stack: Vec::with_capacity(SOME_VALUES.min(bytes.len() / 8 + 4)),
        marks: Vec::new(),
        memo: Vec::with_capacity(SOME_VALUES.min(bytes.len() / 8)),
        // A kept value takes at least one byte, so a higher number is none that a pickler gave.
        memo_entries: limits.memo_entries.min(bytes.len()),
        limits,
        at: 0,
    };
    for _ in 0..operations {
        machine.at = machine.input.at();
        let opcode = machine.input.u8()?;
        if opcode == op::STOP {
            let value = machine.pop()?;
            return Ok((machine.tree, value));
        }
        machine.step(opcode)?;
    }
    Err(Box::new(DecodeError::TooLarge { what: "operations", limit: operations }))
}

struct Machine<'a, 'l> {
    input: Input<'a>,
    tree: Tree<'a>,
    stack: Vec<Val<'a>>,
    /// How high the stack was at each mark that is still open.
    marks: Vec<usize>,
    memo: Vec<Option<Val<'a>>>,
    memo_entries: usize,
    most_values: usize,
    limits: &'l Limits,
    /// Where the present operation begins.
    at: usize,
}

impl<'a> Machine<'a, '_> {
    #[inline(always)]
    fn step(&mut self, opcode: u8) -> Read<()> {
        match opcode {
            op::PROTO => self.check_protocol(),
            op::FRAME => self.input.take(8).map(drop),
            op::MARK => self.mark(),
            op::POP => self.drop_top(),
            op::POP_MARK => self.since_mark().map(|start| self.stack.truncate(start)),
            op::DUP => self.top().map(|value| self.push(value)),

            op::EMPTY_LIST => self.push_collection(Val::List, 0..0),
            op::EMPTY_DICT => self.push_collection(Val::Dict, 0..0),
            op::EMPTY_SET => self.push_collection(Val::Set, 0..0),
            op::EMPTY_TUPLE => self.push_collection(Val::Tuple, 0..0),
            op::TUPLE1 => self.push_last(1),
            op::TUPLE2 => self.push_last(2),
            op::TUPLE3 => self.push_last(3),
            op::TUPLE => self.push_marked(Val::Tuple),
            op::LIST => self.push_marked(Val::List),
            op::FROZENSET => self.push_marked(Val::Set),
            op::DICT => self.push_marked_dict(),
            op::APPEND => self.append_last(),
            op::APPENDS => self.append_marked(),
            op::SETITEM => self.set_last(),
            op::SETITEMS => self.set_marked(),
            op::ADDITEMS => self.add_marked(),

            op::PUT => self.line_number().and_then(|index| self.keep(index)),
            op::BINPUT => self.input.u8().and_then(|index| self.keep(usize::from(index))),
            op::LONG_BINPUT => self.input.u32().and_then(|index| self.keep(index as usize)),
            op::MEMOIZE => self.keep(self.memo.len()),
            op::GET => self.line_number().and_then(|index| self.fetch(index)),
            op::BINGET => self.input.u8().and_then(|index| self.fetch(usize::from(index))),
            op::LONG_BINGET => self.input.u32().and_then(|index| self.fetch(index as usize)),

            op::GLOBAL => self.global(),
            op::STACK_GLOBAL => self.stack_global(),
            op::REDUCE => self.reduce(),
            op::NEWOBJ => self.new_object(),
            op::NEWOBJ_EX => self.new_object_with_names(),
            op::OBJ => self.marked_object(),
            op::INST => self.named_object(),
            op::BUILD => self.build(),

            // The scalars that are most frequent need no second look at the operation.
            op::BININT1 => {
                let number = self.input.u8()?;
                self.push(Val::Int(number.into()));
                Ok(())
            }
            op::BINFLOAT => {
                let number = self.input.float()?;
                self.push(Val::Float(number));
                Ok(())
            }
            op::BINUNICODE => {
                let bytes = self.input.counted4()?;
                let text = self.text(bytes)?;
                self.push(text);
                Ok(())
            }
            _ => {
                let value = self.scalar(opcode)?;
                self.push(value);
                Ok(())
            }
        }
    }

    fn check_protocol(&mut self) -> Read<()> {
        if self.input.u8()? > NEWEST {
            return Err(Box::new(DecodeError::Unsupported { at: self.at, what: "a protocol after 5" }));
        }
        Ok(())
    }

    pub(super) fn malformed<T>(&self, what: &'static str) -> Read<T> {
        Err(Box::new(DecodeError::Malformed { at: self.at, what }))
    }

    #[inline]
    fn push(&mut self, value: Val<'a>) {
        self.stack.push(value);
    }

    /// How high the stack was at the last open mark: what is below belongs to something that is not finished.
    #[inline]
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    #[inline]
    fn pop(&mut self) -> Read<Val<'a>> {
        if self.stack.len() <= self.floor() {
            return self.malformed("a value is missing");
        }
        self.stack.pop().map_or_else(|| self.malformed("a value is missing"), Ok)
    }

    #[inline]
    fn top(&self) -> Read<Val<'a>> {
        match self.stack.last() {
            Some(value) if self.stack.len() > self.floor() => Ok(*value),
            _ => self.malformed("a value is missing"),
        }
    }

    fn mark(&mut self) -> Read<()> {
        if self.marks.len() >= self.limits.depth {
            return Err(Box::new(DecodeError::TooLarge {
                what: "open collections",
                limit: self.limits.depth,
            }));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Where the values begin that came after the last open mark, which is closed.
    fn since_mark(&mut self) -> Read<usize> {
        self.marks.pop().map_or_else(|| self.malformed("no collection is open"), Ok)
    }

    fn drop_top(&mut self) -> Read<()> {
        // A mark counts as a value here, and nowhere else.
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn push_collection(&mut self, kind: fn(u32) -> Val<'a>, members: std::ops::Range<usize>) -> Read<()> {
        let start = members.start;
        let span = self.tree.new_span(self.stack.get(members).unwrap_or_default());
        if !span.is_empty() {
            self.stack.truncate(start);
        }
        let id = self.tree.new_collection(span);
        self.push(kind(id));
        Ok(())
    }

    fn push_last(&mut self, count: usize) -> Read<()> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => self.push_collection(Val::Tuple, start..self.stack.len()),
            _ => self.malformed("a value is missing"),
        }
    }

    fn push_marked(&mut self, kind: fn(u32) -> Val<'a>) -> Read<()> {
        let start = self.since_mark()?;
        self.push_collection(kind, start..self.stack.len())
    }

    fn push_marked_dict(&mut self) -> Read<()> {
        let start = self.since_mark()?;
        if !(self.stack.len() - start).is_multiple_of(2) {
            return self.malformed("a key has no value");
        }
        self.push_collection(Val::Dict, start..self.stack.len())
    }

    fn append_last(&mut self) -> Read<()> {
        let value = self.pop()?;
        let target = self.top()?;
        self.append(target, &[value])
    }

    fn append(&mut self, target: Val<'a>, values: &[Val<'a>]) -> Read<()> {
        let fits = match target {
            Val::List(id) => self.tree.extend_collection(id, values),
            Val::Object(id) => self.tree.extend_items(id, values),
            _ => return self.malformed("something is appended to what is no list"),
        };
        self.grown(fits)
    }

    /// Takes what came after the last mark from the stack, for `put` to move it into the value below.
    fn move_marked(&mut self, put: impl FnOnce(&mut Self, Val<'a>, &[Val<'a>]) -> Read<()>) -> Read<()> {
        let start = self.since_mark()?;
        let stack = std::mem::take(&mut self.stack);
        let target = match start.checked_sub(1) {
            Some(below) if below >= self.floor() => stack.get(below).copied(),
            _ => None,
        };
        let Some(target) = target else { return self.malformed("a value is missing") };
        put(self, target, stack.get(start..).unwrap_or_default())?;
        self.stack = stack;
        self.stack.truncate(start);
        Ok(())
    }

    /// Whether the members that were added had room.
    fn grown(&self, fits: bool) -> Read<()> {
        if fits {
            return Ok(());
        }
        Err(Box::new(DecodeError::TooLarge { what: "values", limit: self.most_values }))
    }

    fn append_marked(&mut self) -> Read<()> {
        self.move_marked(Self::append)
    }

    fn set_last(&mut self) -> Read<()> {
        let value = self.pop()?;
        let key = self.pop()?;
        let target = self.top()?;
        self.set(target, &[key, value])
    }

    fn set_marked(&mut self) -> Read<()> {
        self.move_marked(Self::set)
    }

    fn set(&mut self, target: Val<'a>, pairs: &[Val<'a>]) -> Read<()> {
        if !pairs.len().is_multiple_of(2) {
            return self.malformed("a key has no value");
        }
        let fits = match target {
            Val::Dict(id) => self.tree.extend_collection(id, pairs),
            Val::Object(id) => self.tree.extend_pairs(id, pairs),
            _ => return self.malformed("a key is set in what is no dictionary"),
        };
        self.grown(fits)
    }

    fn add_marked(&mut self) -> Read<()> {
        self.move_marked(|machine, target, values| {
            let fits = match target {
                Val::Set(id) => machine.tree.extend_collection(id, values),
                Val::Object(id) => machine.tree.extend_items(id, values),
                _ => return machine.malformed("something is added to what is no set"),
            };
            machine.grown(fits)
        })
    }

    fn line_number(&mut self) -> Read<usize> {
        let line = self.input.line()?;
        let number = std::str::from_utf8(line).ok().and_then(|text| text.trim_ascii().parse().ok());
        number.map_or_else(|| self.malformed("the number of a kept value is none"), Ok)
    }

    #[inline]
    fn keep(&mut self, index: usize) -> Read<()> {
        let value = self.top()?;
        if index >= self.memo_entries {
            return Err(Box::new(DecodeError::TooLarge { what: "kept values", limit: self.memo_entries }));
        }
        if index == self.memo.len() {
            self.memo.push(Some(value));
            return Ok(());
        }
        if index > self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        if let Some(place) = self.memo.get_mut(index) {
            *place = Some(value);
        }
        Ok(())
    }

    fn fetch(&mut self, index: usize) -> Read<()> {
        match self.memo.get(index) {
            Some(Some(value)) => {
                self.stack.push(*value);
                Ok(())
            }
            _ => self.malformed("no value is kept under this number"),
        }
    }
}
