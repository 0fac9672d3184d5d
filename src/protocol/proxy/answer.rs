//! How clients of NICOS answer the question of a script: with a statement for its session.

use serde_json::Value;

/// The question and the answer in `session.setUserinput(uid, value)`, in whatever stands around it.
///
/// Nothing is executed: both arguments must be plain literals.
#[must_use]
pub fn prompt_answer(statement: &str) -> Option<(String, Value)> {
    let (_, arguments) = statement.split_once("session.setUserinput(")?;
    let (Value::String(uid), rest) = literal(arguments)? else { return None };
    let (answer, rest) = literal(rest.trim_start().strip_prefix(',')?)?;
    rest.trim().starts_with(')').then_some((uid, answer))
}

/// Reads a literal of Python, and gives what follows it.
fn literal(text: &str) -> Option<(Value, &str)> {
    let text = text.trim_start();
    if let Some(quote) = text.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
        return quoted(text.get(1..)?, quote).map(|(text, rest)| (text.into(), rest));
    }
    let (word, rest) = text.split_at_checked(text.find([',', ')'])?)?;
    let value = match word.trim() {
        "True" => true.into(),
        "False" => false.into(),
        "None" => Value::Null,
        number => serde_json::from_str(number).ok().filter(Value::is_number)?,
    };
    Some((value, rest))
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
