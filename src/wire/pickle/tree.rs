//! The values of a payload while they are built: small copies that point into the payload and into three tables, so
//! that nothing is allocated per value and nothing is nested that would have to be dropped level by level.

/// A value. What is large or changes later is in a table of [`Tree`] and named by its place there.
///
/// The number of the variant fills a word, so that values are copied word by word: read back from several smaller writes,
/// a copy would have to wait for them.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(super) enum Val<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit [`Val::Int`]: little-endian, in two's complement.
    LongInt(&'a [u8]),
    /// The same in decimal, as protocol 0 has it: an optional minus and digits.
    DecimalInt(&'a str),
    Float(f64),
    Text(&'a str),
    /// UTF-8 but for lone surrogates.
    Wtf8(&'a [u8]),
    /// Protocol 0's text, with `\u` escapes, still to be resolved.
    Escaped(&'a [u8]),
    Bytes(&'a [u8]),
    /// Bytes written as a call (a [`Val::Object`]) that encodes text in Latin-1. Whether each character is a byte is
    /// looked at when the bytes are written, where the work is bounded with the output.
    Latin1(u32),
    List(u32),
    Tuple(u32),
    /// Keys and values alternate.
    Dict(u32),
    Set(u32),
    Global(u32),
    Object(u32),
}

/// A part of [`Tree::children`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    length: u32,
    capacity: u32,
}

impl Span {
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The same members for another owner, who must not use the spare room.
    pub(super) fn frozen(self) -> Self {
        Self { capacity: self.length, ..self }
    }
}

/// The name of a class or function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Global<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

/// The call that would make an object, and what would be done to it afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    /// The class or function; a [`Val::Global`] in all but exotic payloads.
    pub(super) maker: Val<'a>,
    pub(super) args: Span,
    /// A dictionary of named arguments.
    pub(super) named_args: Option<Val<'a>>,
    pub(super) state: Option<Val<'a>>,
    pub(super) items: Span,
    /// Keys and values alternate.
    pub(super) pairs: Span,
}

impl<'a> Object<'a> {
    pub(super) fn made_by(maker: Val<'a>, args: Span) -> Self {
        Self { maker, args, named_args: None, state: None, items: Span::default(), pairs: Span::default() }
    }
}

/// All values of one payload.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    children: Vec<Val<'a>>,
    spans: Vec<Span>,
    globals: Vec<Global<'a>>,
    objects: Vec<Object<'a>>,
    /// How many members all collections may have together, those that were moved to a greater place counted again.
    most: usize,
}

/// The tables are far smaller than this: their sizes are bounded by the number of operations.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl<'a> Tree<'a> {
    /// A tree in which so many values have room at once, and so many at most.
    pub(super) fn with_room_for(values: usize, most: usize) -> Self {
        Self {
            children: Vec::with_capacity(values),
            spans: Vec::with_capacity(values / 4),
            most,
            ..Self::default()
        }
    }

    /// How many values are members of others.
    pub(super) fn size(&self) -> usize {
        self.children.len()
    }

    pub(super) fn children(&self, span: Span) -> &[Val<'a>] {
        let start = span.start as usize;
        self.children.get(start..start + span.length as usize).unwrap_or_default()
    }

    pub(super) fn span(&self, id: u32) -> Span {
        self.spans.get(id as usize).copied().unwrap_or_default()
    }

    pub(super) fn members(&self, id: u32) -> &[Val<'a>] {
        self.children(self.span(id))
    }

    pub(super) fn global(&self, id: u32) -> Option<Global<'a>> {
        self.globals.get(id as usize).copied()
    }

    pub(super) fn object(&self, id: u32) -> Option<&Object<'a>> {
        self.objects.get(id as usize)
    }

    pub(super) fn object_mut(&mut self, id: u32) -> Option<&mut Object<'a>> {
        self.objects.get_mut(id as usize)
    }

    /// A new part with copies of `values`.
    pub(super) fn new_span(&mut self, values: &[Val<'a>]) -> Span {
        let start = index(self.children.len());
        self.children.extend_from_slice(values);
        let length = index(values.len());
        Span { start, length, capacity: length }
    }

    /// Gives a collection with these members a place.
    pub(super) fn new_collection(&mut self, span: Span) -> u32 {
        self.spans.push(span);
        index(self.spans.len() - 1)
    }

    pub(super) fn new_global(&mut self, global: Global<'a>) -> Val<'a> {
        self.globals.push(global);
        Val::Global(index(self.globals.len() - 1))
    }

    pub(super) fn new_object(&mut self, object: Object<'a>) -> u32 {
        self.objects.push(object);
        index(self.objects.len() - 1)
    }

    /// Adds members to a collection; `false` if there is no room.
    pub(super) fn extend_collection(&mut self, id: u32, values: &[Val<'a>]) -> bool {
        match self.spans.get_mut(id as usize) {
            Some(span) => extend(&mut self.children, span, values, self.most),
            None => true,
        }
    }

    /// Adds items to an object; `false` if there is no room.
    pub(super) fn extend_items(&mut self, id: u32, values: &[Val<'a>]) -> bool {
        match self.objects.get_mut(id as usize) {
            Some(object) => extend(&mut self.children, &mut object.items, values, self.most),
            None => true,
        }
    }

    /// Adds pairs to an object; `false` if there is no room.
    pub(super) fn extend_pairs(&mut self, id: u32, values: &[Val<'a>]) -> bool {
        match self.objects.get_mut(id as usize) {
            Some(object) => extend(&mut self.children, &mut object.pairs, values, self.most),
            None => true,
        }
    }
}

/// Appends to a part: in its spare room, or at the end of the table, or in a new place with spare room for as much
/// again, so that collections that grow in turns cost a constant time per value. Two that share a beginning do not: the
/// table is bounded, and with it the time, since whatever is copied makes it longer. `false` if that would be too long.
fn extend<'a>(children: &mut Vec<Val<'a>>, span: &mut Span, values: &[Val<'a>], most: usize) -> bool {
    let end = (span.start + span.length) as usize;
    let added = index(values.len());
    let length = span.length + added;
    if length <= span.capacity {
        if let Some(room) = children.get_mut(end..end + values.len()) {
            room.copy_from_slice(values);
        }
    } else if (span.start + span.capacity) as usize == children.len() {
        children.truncate(end);
        children.extend_from_slice(values);
        span.capacity = length;
    } else {
        let capacity = if span.length == 0 { length } else { length.saturating_mul(2) };
        if children.len() + capacity as usize > most {
            return false;
        }
        let old = span.start as usize..end;
        span.start = index(children.len());
        span.capacity = capacity;
        children.extend_from_within(old);
        children.extend_from_slice(values);
        children.resize((span.start + span.capacity) as usize, Val::None);
    }
    span.length = length;
    true
}
