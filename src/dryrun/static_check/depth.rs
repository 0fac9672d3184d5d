//! Refuses what is nested so deeply that its tree could not be walked.

use std::sync::Arc;

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer::lex};

use super::{SYNTAX_ERROR, diagnostic};
use crate::{
    catalogue::{Diagnostic, Source},
    protocol::view::Severity,
};

/// CPython's own limits.
const MOST_BRACKETS: usize = 200;
const MOST_INDENTS: usize = 100;
/// A tree is at most as deep as there are tokens between separators, on all open levels together. CPython
/// gives up much earlier.
const MOST_TOKENS: usize = 10_000;

/// What is open at one level of brackets.
#[derive(Default)]
struct Level {
    tokens: usize,
    /// A comma between the parameters of a lambda separates nothing.
    lambdas: usize,
}

/// Why the script cannot be read, if it is nested too deeply.
pub(super) fn refusal(source: &Arc<Source>) -> Option<Diagnostic> {
    let mut lexer = lex(&source.text, Mode::Module);
    let (mut levels, mut indents, mut deep) = (vec![Level::default()], 0usize, 0usize);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return None,
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => levels.push(Level::default()),
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace if levels.len() > 1 => {
                deep -= levels.pop().map_or(0, |level| level.tokens);
            }
            TokenKind::Newline => {
                levels = vec![Level::default()];
                deep = 0;
                continue;
            }
            TokenKind::Comma | TokenKind::Semi => {
                if let Some(level) = levels.last_mut() {
                    deep -= level.tokens - level.lambdas;
                    level.tokens = level.lambdas;
                }
            }
            TokenKind::Lambda => {
                if let Some(level) = levels.last_mut() {
                    level.lambdas += 1;
                }
            }
            _ => {}
        }
        if let Some(level) = levels.last_mut() {
            level.tokens += 1;
            deep += 1;
        }
        let message = if levels.len() > MOST_BRACKETS {
            "too many nested parentheses"
        } else if indents > MOST_INDENTS {
            "too many levels of indentation"
        } else if deep > MOST_TOKENS {
            let message = "the script is not checked: an expression in it is nested too deeply".to_owned();
            return Some(diagnostic(source, Severity::Warning, "not_checked", 0..0, message));
        } else {
            continue;
        };
        return Some(diagnostic(source, Severity::Error, SYNTAX_ERROR, 0..0, message.to_owned()));
    }
}
