//! The few classes and functions whose calls stand for plain values.

use super::tree::{Global, Object, Span, Tree, Val};

/// What the call of `maker` with `args` stands for.
pub(super) fn call<'a>(tree: &mut Tree<'a>, maker: Val<'a>, args: Span) -> Val<'a> {
    let plain = match maker {
        Val::Global(id) => tree.global(id).and_then(|global| plain_value(tree, maker, global, args)),
        _ => None,
    };
    plain.unwrap_or_else(|| Val::Object(tree.new_object(Object::made_by(maker, args))))
}

fn plain_value<'a>(tree: &mut Tree<'a>, maker: Val<'a>, global: Global<'a>, args: Span) -> Option<Val<'a>> {
    match (global.module, global.name) {
        ("_codecs", "encode") => latin1(tree, maker, args),
        ("copy_reg" | "copyreg", "_reconstructor") => reconstructed(tree, args),
        ("__builtin__" | "builtins", "set" | "frozenset") => set(tree, args),
        ("__builtin__" | "builtins", "bytes" | "bytearray") => bytes(tree, maker, args),
        _ => None,
    }
}

/// The encoder's call with a text and `latin1`.
fn latin1<'a>(tree: &mut Tree<'a>, maker: Val<'a>, args: Span) -> Option<Val<'a>> {
    let [Val::Text(_) | Val::Escaped(_), encoding] = tree.children(args) else { return None };
    let is_latin1 = match *encoding {
        Val::Text(name) => matches!(name, "latin1" | "latin-1"),
        Val::Escaped(name) => matches!(name, b"latin1" | b"latin-1"),
        _ => false,
    };
    is_latin1.then(|| Val::Latin1(tree.new_object(Object::made_by(maker, args))))
}

/// Protocols before 2 rebuild an object of a class from a base's value.
fn reconstructed<'a>(tree: &mut Tree<'a>, args: Span) -> Option<Val<'a>> {
    let [class, _base, value] = *tree.children(args) else { return None };
    let args = tree.new_span(&[value]);
    Some(Val::Object(tree.new_object(Object::made_by(class, args))))
}

fn set<'a>(tree: &mut Tree<'a>, args: Span) -> Option<Val<'a>> {
    let members = match *tree.children(args) {
        [] => Span::default(),
        [Val::List(id) | Val::Tuple(id) | Val::Set(id)] => tree.span(id).frozen(),
        _ => return None,
    };
    Some(Val::Set(tree.new_collection(members)))
}

fn bytes<'a>(tree: &mut Tree<'a>, maker: Val<'a>, args: Span) -> Option<Val<'a>> {
    match *tree.children(args) {
        [] => Some(Val::Bytes(&[])),
        [bytes @ (Val::Bytes(_) | Val::Latin1(_))] => Some(bytes),
        _ => latin1(tree, maker, args),
    }
}
