//! What one payload may cost.

/// The deepest nesting that can be allowed: turning a value into text and dropping it recurse once per level, which this
/// keeps far below the stack of a task.
pub const DEEPEST: usize = 256;

/// What one payload may cost at most. Each limit holds while the value is built, so that a hostile payload never costs
/// more than this before it is refused.
///
/// Values are held in about 25 bytes each until the end, objects in about 130; the JSON needs as much again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The payload's size in bytes.
    pub payload_bytes: usize,
    /// How many operations the payload may order. Each makes, fetches or moves values, so that this bounds the number
    /// of values and the time.
    pub operations: usize,
    /// How many values the payload may keep for later use.
    pub memo_entries: usize,
    /// How deep arrays and objects of the JSON may be nested, the tagged forms included; [`DEEPEST`] at most. The same
    /// number bounds how many collections may be open at the same time.
    pub depth: usize,
    /// The size of one integer in bytes: writing it in decimal takes a time that grows faster than its size.
    pub integer_bytes: usize,
    /// The size of the JSON in bytes of memory, where a value that is referenced several times counts each time.
    pub output_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB of payload, 4 million operations, a million kept values, 100 levels (many JSON parsers stop at 128, and
    /// the value is put into a message), integers of 4 KiB (CPython writes no longer ones either), 256 MiB of JSON.
    fn default() -> Self {
        Self {
            payload_bytes: 64 << 20,
            operations: 4_000_000,
            memo_entries: 1_000_000,
            depth: 100,
            integer_bytes: 4096,
            output_bytes: 256 << 20,
        }
    }
}
