//! Syntax errors in the words of CPython, as far as they can be told.

use std::{ops::Range, sync::Arc};

use ruff_python_ast::{
    ModModule,
    token::{Token, TokenKind},
};
use ruff_python_parser::{InterpolatedStringErrorType, LexicalErrorType, ParseError, ParseErrorType, Parsed};

use super::{SYNTAX_ERROR, checker::range, diagnostic};
use crate::{
    catalogue::{Diagnostic, Source},
    protocol::view::Severity,
};

/// The first thing that is not Python.
pub(super) fn first_error(source: &Arc<Source>, parsed: &Parsed<ModModule>) -> Option<Diagnostic> {
    let error = parsed.errors().iter().min_by_key(|error| error.location.start())?;
    let tokens: &[Token] = parsed.tokens();
    let brackets = Brackets::read(tokens, usize::from(error.location.start()), &source.text);
    let (message, range) = match brackets {
        Brackets::Wrong(message, range) => (message, range),
        Brackets::NeverClosed(bracket, range) if is_general(&error.error) => {
            (format!("'{bracket}' was never closed"), range)
        }
        Brackets::NeverClosed(..) | Brackets::Right => (message(source, error), error_range(error)),
    };
    let general = message == "invalid syntax";
    let mut found = diagnostic(source, Severity::Error, SYNTAX_ERROR, range, message);
    if general {
        found.place.label = lower_first(&error.error.to_string());
    }
    if let Some(hint) = old_print(source, error) {
        found.message = "Missing parentheses in call to 'print'. Did you mean print(...)?".to_owned();
        found.place.range = hint;
        found.place.label.clear();
    }
    Some(found)
}

fn error_range(error: &ParseError) -> Range<usize> {
    usize::from(error.location.start())..usize::from(error.location.end())
}

fn is_general(error: &ParseErrorType) -> bool {
    matches!(
        error,
        ParseErrorType::ExpectedToken { .. }
            | ParseErrorType::ExpectedExpression
            | ParseErrorType::OtherError(_)
            | ParseErrorType::SimpleStatementsOnSameLine
            | ParseErrorType::UnexpectedExpressionToken
            | ParseErrorType::InvalidAssignmentTarget
            | ParseErrorType::Lexical(LexicalErrorType::Eof)
    )
}

/// What the brackets say about an error.
enum Brackets {
    /// A bracket that closes nothing, or something else.
    Wrong(String, Range<usize>),
    /// Open to the end.
    NeverClosed(char, Range<usize>),
    Right,
}

impl Brackets {
    fn read(tokens: &[Token], error_at: usize, text: &str) -> Self {
        let mut open: Vec<(char, Range<usize>)> = Vec::new();
        for token in tokens {
            let bracket = text.get(range(token)).and_then(|text| text.chars().next()).unwrap_or_default();
            match token.kind() {
                TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => open.push((bracket, range(token))),
                TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => match open.pop() {
                    Some((opening, _)) if closes(opening, bracket) => {}
                    // Only the first error counts, and this one comes later.
                    _ if range(token).start > error_at => return Self::Right,
                    Some((opening, _)) => {
                        let message = format!(
                            "closing parenthesis '{bracket}' does not match opening parenthesis '{opening}'"
                        );
                        return Self::Wrong(message, range(token));
                    }
                    None => return Self::Wrong(format!("unmatched '{bracket}'"), range(token)),
                },
                _ => {}
            }
        }
        // An error in front of a bracket has nothing to do with it.
        match open.into_iter().rfind(|(_, range)| range.start <= error_at) {
            Some((bracket, range)) => Self::NeverClosed(bracket, range),
            None => Self::Right,
        }
    }
}

fn closes(opening: char, closing: char) -> bool {
    matches!((opening, closing), ('(', ')') | ('[', ']') | ('{', '}'))
}

fn message(source: &Source, error: &ParseError) -> String {
    let range = error_range(error);
    match &error.error {
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, found: TokenKind::Equal } => {
            "invalid syntax. Maybe you meant '==' or ':=' instead of '='?".into()
        }
        ParseErrorType::ExpectedToken { expected: TokenKind::Colon, .. } => "expected ':'".into(),
        ParseErrorType::UnexpectedIndentation => "unexpected indent".into(),
        ParseErrorType::PositionalAfterKeywordArgument => {
            "positional argument follows keyword argument".into()
        }
        ParseErrorType::PositionalAfterKeywordUnpacking => {
            "positional argument follows keyword argument unpacking".into()
        }
        ParseErrorType::NonDefaultParamAfterDefaultParam => {
            "non-default argument follows default argument".into()
        }
        ParseErrorType::InvalidAssignmentTarget | ParseErrorType::InvalidAnnotatedAssignmentTarget => {
            format!("cannot assign to {} here. Maybe you meant '==' instead of '='?", thing(source, range))
        }
        ParseErrorType::InvalidDeleteTarget => format!("cannot delete {}", thing(source, range)),
        ParseErrorType::InvalidAugmentedAssignmentTarget => {
            format!("'{}' is an illegal expression for augmented assignment", thing(source, range))
        }
        ParseErrorType::OtherError(text) => match text.strip_prefix("Expected an indented block after ") {
            Some(what) => format!("expected an indented block after {}", what.replace('`', "'")),
            None => "invalid syntax".into(),
        },
        ParseErrorType::Lexical(lexical) => lexical_message(source, lexical, &range),
        ParseErrorType::FStringError(InterpolatedStringErrorType::UnterminatedString) => {
            format!("unterminated f-string literal (detected at line {})", line_of_end(source, &range))
        }
        ParseErrorType::FStringError(InterpolatedStringErrorType::UnterminatedTripleQuotedString) => {
            format!("unterminated triple-quoted f-string literal (detected at line {})", last_line(source))
        }
        ParseErrorType::FStringError(inner) => format!("f-string: {}", inner.to_string().replace('`', "'")),
        _ => "invalid syntax".into(),
    }
}

fn lexical_message(source: &Source, error: &LexicalErrorType, range: &Range<usize>) -> String {
    match error {
        LexicalErrorType::UnclosedStringError => {
            let quotes = source.text.get(range.start..).unwrap_or_default();
            let quotes = quotes.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            if quotes.starts_with("'''") || quotes.starts_with("\"\"\"") {
                let line = last_line(source);
                format!("unterminated triple-quoted string literal (detected at line {line})")
            } else {
                format!("unterminated string literal (detected at line {})", line_of_end(source, range))
            }
        }
        LexicalErrorType::IndentationError => "unindent does not match any outer indentation level".into(),
        LexicalErrorType::LineContinuationError => {
            "unexpected character after line continuation character".into()
        }
        LexicalErrorType::Eof => "unexpected EOF while parsing".into(),
        LexicalErrorType::InvalidByteLiteral => "bytes can only contain ASCII literal characters".into(),
        LexicalErrorType::UnrecognizedToken { tok } if !tok.is_ascii() => {
            format!("invalid character '{tok}' (U+{:04X})", *tok as u32)
        }
        LexicalErrorType::UnrecognizedToken { tok } if tok.is_control() => {
            format!("invalid non-printable character U+{:04X}", *tok as u32)
        }
        LexicalErrorType::OtherError(text) => lower_first(text),
        _ => "invalid syntax".into(),
    }
}

fn line_of_end(source: &Source, range: &Range<usize>) -> u32 {
    source.line_and_column(range.end.saturating_sub(1).max(range.start)).0
}

fn last_line(source: &Source) -> u32 {
    source.line_and_column(source.text.trim_end_matches('\n').len()).0
}

/// What cannot be assigned to, from how it is written.
fn thing(source: &Source, range: Range<usize>) -> &'static str {
    let text = source.text.get(range).unwrap_or_default();
    match text.chars().next() {
        _ if matches!(text, "True" | "False" | "None") => match text {
            "True" => "True",
            "False" => "False",
            _ => "None",
        },
        Some('0'..='9' | '"' | '\'') => "literal",
        _ if text.ends_with(')') && !text.starts_with('(') => "function call",
        _ => "expression",
    }
}

/// `print "text"`, as it was written for Python 2.
fn old_print(source: &Source, error: &ParseError) -> Option<Range<usize>> {
    let (line, _) = source.line_and_column(error.location.start().into());
    let text = source.line(line);
    let behind = text.trim_start().strip_prefix("print ")?.trim_start();
    let first = behind.chars().next()?;
    let is_value = first.is_alphanumeric() || matches!(first, '"' | '\'' | '_');
    let at = usize::from(error.location.start());
    let start = source.text.get(..at)?.rfind('\n').map_or(0, |end| end + 1) + text.find("print")?;
    let general = matches!(error.error, ParseErrorType::SimpleStatementsOnSameLine);
    (is_value && general).then_some(start..start + 5)
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
