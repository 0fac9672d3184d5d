//! How clients of NICOS answer the question of a script: with a statement for its session.

use serde_json::{Map, Value};

/// Answers within answers are read so deep.
const DEEPEST: u8 = 20;

/// The question and the answer in `session.setUserinput(uid, value)`, in whatever stands around it.
///
/// Nothing is executed: both arguments must be plain literals.
#[must_use]
pub fn prompt_answer(statement: &str) -> Option<(String, Value)> {
    let (_, arguments) = statement.split_once("session.setUserinput(")?;
    let (Value::String(uid), rest) = literal(arguments, 0)? else { return None };
    let (answer, rest) = literal(rest.trim_start().strip_prefix(',')?, 0)?;
    rest.trim().starts_with(')').then_some((uid, answer))
}

/// Reads a literal of Python, and gives what follows it.
fn literal(text: &str, depth: u8) -> Option<(Value, &str)> {
    let text = text.trim_start();
    if depth > DEEPEST {
        return None;
    }
    let inside = text.get(1..);
    match text.chars().next()? {
        quote @ ('\'' | '"') => return quoted(inside?, quote).map(|(text, rest)| (text.into(), rest)),
        '[' => return sequence(inside?, ']', depth).map(|(items, rest)| (items.into(), rest)),
        '(' => return tuple(inside?, depth),
        '{' => return dictionary(inside?, depth),
        _ => {}
    }
    let (word, rest) = text.split_at_checked(text.find([',', ')', ']', '}'])?)?;
    let value = match word.trim() {
        "True" => true.into(),
        "False" => false.into(),
        "None" => Value::Null,
        number => serde_json::from_str(number).ok().filter(Value::is_number)?,
    };
    Some((value, rest))
}

/// Reads values up to the bracket that closes them.
fn sequence(text: &str, end: char, depth: u8) -> Option<(Vec<Value>, &str)> {
    let (mut items, mut text) = (Vec::new(), text.trim_start());
    loop {
        if let Some(rest) = text.strip_prefix(end) {
            return Some((items, rest));
        }
        let (item, rest) = literal(text, depth + 1)?;
        items.push(item);
        text = after_item(rest, end)?;
    }
}

/// What follows an item: the next one behind a comma, or the end.
fn after_item(text: &str, end: char) -> Option<&str> {
    let text = text.trim_start();
    match text.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()),
        None => text.starts_with(end).then_some(text),
    }
}

/// Reads a tuple, or a value in brackets.
fn tuple(text: &str, depth: u8) -> Option<(Value, &str)> {
    let (mut items, rest) = sequence(text, ')', depth)?;
    let read = text.get(..text.len() - rest.len())?;
    let is_one = items.len() == 1 && !read.strip_suffix(')')?.trim_end().ends_with(',');
    if is_one { items.pop().map(|value| (value, rest)) } else { Some((items.into(), rest)) }
}

fn dictionary(text: &str, depth: u8) -> Option<(Value, &str)> {
    let (mut members, mut text) = (Map::new(), text.trim_start());
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Some((members.into(), rest));
        }
        let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (name, rest) = quoted(text.get(1..)?, quote)?;
        let (value, rest) = literal(rest.trim_start().strip_prefix(':')?, depth + 1)?;
        members.insert(name, value);
        text = after_item(rest, '}')?;
    }
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut said = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            end if end == quote => return Some((said, text.get(at + 1..)?)),
            '\\' => said.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'x' => escaped(&mut characters, 2)?,
                'u' => escaped(&mut characters, 4)?,
                'U' => escaped(&mut characters, 8)?,
                plain @ ('\\' | '\'' | '"') => plain,
                _ => return None,
            }),
            plain => said.push(plain),
        }
    }
    None
}

fn escaped(characters: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + characters.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}
