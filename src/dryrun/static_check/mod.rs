//! What can be said about a script by reading it: its syntax, its calls of commands, and habits that do
//! not go well with a queue.
//!
//! The check is pure, and its cost is bounded whatever the text: its size, the depth of its nesting, the
//! calls that are looked at and the findings are all limited. It runs in a thread of its own, whose stack
//! is large enough for the deepest tree that is let through.

mod bindings;
mod builtins;
mod calls;
mod checker;
mod depth;
mod flow;
mod habits;
mod literal;
mod nicos;
mod semantics;
mod syntax;

use std::{sync::Arc, thread};

use ruff_python_ast::PySourceType;

use crate::{
    catalogue::{Catalogue, Diagnostic, Place, Source},
    protocol::view::{Finding, Severity},
};
use checker::Checker;

/// The largest script that is checked, in bytes.
pub const SCRIPT_LIMIT: usize = 16 << 20;

/// Address space, which becomes memory only where a deep tree needs it.
const STACK: usize = 128 << 20;

/// The code of findings about what Python itself would refuse.
pub const SYNTAX_ERROR: &str = "syntax_error";

/// What runs the scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// A process of the script's own.
    #[default]
    Process,
    /// A NICOS daemon.
    Nicos,
}

/// What is to be said about a script, in the order of its lines. An error means that it will fail.
#[must_use]
pub fn check_script(source: &str, catalogue: &Catalogue) -> Vec<Finding> {
    let diagnostics = diagnose_script("<script>", source, catalogue);
    diagnostics.iter().map(|diagnostic| Finding { file: None, ..diagnostic.finding() }).collect()
}

/// Checks a script like [`check_script`], with everything that is needed to show what was found.
#[must_use]
pub fn diagnose_script(name: &str, source: &str, catalogue: &Catalogue) -> Vec<Diagnostic> {
    diagnose_script_for(Host::Process, name, source, catalogue)
}

/// The same for scripts that run there.
#[must_use]
pub fn diagnose_script_for(host: Host, name: &str, source: &str, catalogue: &Catalogue) -> Vec<Diagnostic> {
    if source.len() > SCRIPT_LIMIT {
        let empty = Arc::new(Source::new(name, ""));
        let message = format!(
            "the script has {:.1} MB and is not checked: no more than {} MB are",
            source.len() as f64 / 1e6,
            SCRIPT_LIMIT >> 20,
        );
        return vec![diagnostic(&empty, Severity::Warning, "not_checked", 0..0, message)];
    }
    let source = Arc::new(Source::new(name, source.strip_prefix('\u{feff}').unwrap_or(source)));
    let found = thread::scope(|scope| {
        let check = || check(host, &source, catalogue);
        let thread = thread::Builder::new().name("beamq-check".into()).stack_size(STACK);
        thread.spawn_scoped(scope, check).ok().and_then(|checking| checking.join().ok())
    });
    found.unwrap_or_else(|| {
        let message = "the script could not be checked".to_owned();
        vec![diagnostic(&source, Severity::Warning, "not_checked", 0..0, message)]
    })
}

fn check(host: Host, source: &Arc<Source>, catalogue: &Catalogue) -> Vec<Diagnostic> {
    if let Some(at) = source.text.find('\0') {
        let message = "source code string cannot contain null bytes".to_owned();
        return vec![diagnostic(source, Severity::Error, SYNTAX_ERROR, at..at + 1, message)];
    }
    if let Some(too_deep) = depth::refusal(source) {
        return vec![too_deep];
    }
    let parsed = ruff_python_parser::parse_unchecked_source(&source.text, PySourceType::Python);
    let mut checker = Checker::new(host, source, catalogue, parsed.suite());
    checker.check(parsed.suite());
    let mut found = checker.found;
    let wrong = match syntax::first_error(source, &parsed) {
        Some(error) => Some(error),
        None => semantics::first_error(source, parsed.suite()),
    };
    if let Some(error) = wrong {
        // Behind a syntax error the parser guesses; what it makes of the rest is not worth showing.
        let (line, _) = error.place.line_and_column();
        found.retain(|other| other.place.line_and_column().0 < line);
        found.push(error);
    }
    found.sort_by_key(|diagnostic| diagnostic.place.range.start);
    found
}

fn diagnostic(
    source: &Arc<Source>,
    severity: Severity,
    code: &'static str,
    range: std::ops::Range<usize>,
    message: String,
) -> Diagnostic {
    Diagnostic {
        severity,
        code,
        message,
        place: Place { source: Arc::clone(source), range, label: String::new() },
        related: None,
        command: None,
        parameter: None,
        help: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
