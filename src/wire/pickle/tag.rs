//! The names of the tagged forms: JSON objects that stand for what JSON does not know.

/// An integer outside 64 bits: decimal text.
pub const INT: &str = "$int";
/// A floating-point number that is not finite: `nan`, `inf` or `-inf`.
pub const FLOAT: &str = "$float";
/// Bytes, in base64.
pub const BYTES: &str = "$bytes";
/// Text with lone surrogates: its UTF-8, as if they were characters, in base64.
pub const WTF8: &str = "$wtf8";
/// A set: its members, sorted by how Python would write them.
pub const SET: &str = "$set";
/// A dictionary whose keys are not all plain names: pairs of key and value.
pub const MAP: &str = "$map";
/// A class or function, by its name with the module's.
pub const GLOBAL: &str = "$global";
/// Something that contains itself, at the inner place.
pub const RECURSIVE: &str = "$recursive";
/// An object: the name of what would make it. The next five stand beside it where they are not empty.
pub const OBJECT: &str = "$object";
/// The arguments that it would be made with.
pub const ARGS: &str = "args";
/// The named arguments that it would be made with.
pub const NAMED_ARGS: &str = "kwargs";
/// The state that it would be given.
pub const STATE: &str = "state";
/// What would be appended to it.
pub const ITEMS: &str = "items";
/// What would be set in it: pairs of key and value.
pub const PAIRS: &str = "pairs";
