//! What is never reached, and loops that never end.

use ruff_python_ast::{Expr, Stmt, StmtWhile};

use super::checker::{COMMANDS, Callee, Checker};
use crate::protocol::view::Severity;

/// The first statement that is never reached, and why.
pub(super) fn unreachable<'a>(checker: &Checker<'_>, body: &'a [Stmt]) -> Option<(&'a Stmt, String)> {
    let (n, why) = body.iter().enumerate().find_map(|(n, stmt)| Some((n, ends(checker, stmt)?)))?;
    let behind = body.get(n + 1)?;
    // A `yield` that is never reached makes a function a generator, on purpose.
    let is_yield = matches!(behind, Stmt::Expr(inner) if inner.value.is_yield_expr());
    (!is_yield).then(|| {
        let end = ruff_text_size::Ranged::start(body.get(n).unwrap_or(behind));
        let (line, _) = checker.source.line_and_column(end.into());
        (behind, format!("{why} on line {line}"))
    })
}

/// Why nothing behind a statement is reached.
fn ends(checker: &Checker<'_>, stmt: &Stmt) -> Option<String> {
    match stmt {
        Stmt::Return(_) => Some("the function returns".into()),
        Stmt::Raise(_) => Some("an exception is raised".into()),
        Stmt::Break(_) => Some("the loop is left".into()),
        Stmt::Continue(_) => Some("the loop goes on".into()),
        Stmt::Expr(inner) => match inner.value.as_ref() {
            Expr::Call(call) => match checker.callee(&call.func) {
                Callee::Known(path) if ends_the_script(&path) => Some("the script ends".into()),
                Callee::Known(_) | Callee::Unbound(_) | Callee::Other => None,
            },
            _ => None,
        },
        Stmt::While(repeat) => (is_endless(&repeat.test) && !has_break(&repeat.body))
            .then(|| "there is no way out of the loop".to_owned()),
        Stmt::If(choice) => {
            let complete = choice.elif_else_clauses.last().is_some_and(|last| last.test.is_none());
            let ends_in = |body: &[Stmt]| body.iter().any(|stmt| ends(checker, stmt).is_some());
            let all = complete
                && ends_in(&choice.body)
                && choice.elif_else_clauses.iter().all(|clause| ends_in(&clause.body));
            all.then(|| "every branch ends".to_owned())
        }
        _ => None,
    }
}

/// Whether a call of this never comes back.
pub(super) fn ends_the_script(path: &str) -> bool {
    matches!(path, "sys.exit" | "os._exit" | "builtins.exit" | "builtins.quit" | "os.abort")
}

fn is_endless(test: &Expr) -> bool {
    match test {
        Expr::BooleanLiteral(literal) => literal.value,
        Expr::NumberLiteral(literal) => {
            matches!(&literal.value, ruff_python_ast::Number::Int(number) if number.as_u8() != Some(0))
        }
        _ => false,
    }
}

/// Whether a `break` leaves the loop that has this body.
fn has_break(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Break(_) => true,
        Stmt::For(inner) => has_break(&inner.orelse),
        Stmt::While(inner) => has_break(&inner.orelse),
        Stmt::If(inner) => {
            has_break(&inner.body) || inner.elif_else_clauses.iter().any(|clause| has_break(&clause.body))
        }
        Stmt::With(inner) => has_break(&inner.body),
        Stmt::Match(inner) => inner.cases.iter().any(|case| has_break(&case.body)),
        Stmt::Try(inner) => {
            let in_handler = inner.handlers.iter().any(|handler| {
                let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
                has_break(&handler.body)
            });
            in_handler
                || [&inner.body, &inner.orelse, &inner.finalbody].into_iter().any(|body| has_break(body))
        }
        _ => false,
    })
}

/// Parts of names that make it likely that a call waits, reports progress or lets others work.
const WAITING: [&str; 11] =
    ["sleep", "wait", "progress", "pause", "step", "track", "ask", "input", "poll", "join", "select"];

impl Checker<'_> {
    /// Notes an endless loop in which nothing waits.
    pub(super) fn endless(&mut self, repeat: &StmtWhile) {
        if !is_endless(&repeat.test) {
            return;
        }
        let mut search = Search { checker: self, waits: false };
        for stmt in &repeat.body {
            ruff_python_ast::visitor::Visitor::visit_stmt(&mut search, stmt);
        }
        if !search.waits {
            let message = "nothing in this endless loop waits or reports progress";
            let found = self.report(Severity::Note, "busy_loop", repeat.test.as_ref(), message);
            found.help.push("beamq.sleep(seconds) waits, and can be paused and skipped".to_owned());
        }
    }
}

/// Looks for something that waits, without going deeper once it is found.
struct Search<'c, 'a> {
    checker: &'c Checker<'a>,
    waits: bool,
}

impl<'b> ruff_python_ast::visitor::Visitor<'b> for Search<'_, '_> {
    fn visit_stmt(&mut self, stmt: &'b Stmt) {
        if !self.waits {
            ruff_python_ast::visitor::walk_stmt(self, stmt);
        }
    }

    fn visit_expr(&mut self, expr: &'b Expr) {
        if self.waits {
            return;
        }
        self.waits = match expr {
            Expr::Yield(_) | Expr::YieldFrom(_) | Expr::Await(_) => true,
            Expr::Call(call) => match self.checker.callee(&call.func) {
                Callee::Known(path) => path.starts_with(COMMANDS) || sounds_like_waiting(&path),
                Callee::Unbound(name) => sounds_like_waiting(&name),
                // What the script defines itself may wait; only its author knows.
                Callee::Other => match call.func.as_ref() {
                    Expr::Attribute(attribute) => sounds_like_waiting(&attribute.attr),
                    _ => true,
                },
            },
            _ => false,
        };
        if !self.waits {
            ruff_python_ast::visitor::walk_expr(self, expr);
        }
    }
}

fn sounds_like_waiting(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default().to_lowercase();
    WAITING.iter().any(|part| name.contains(part))
}
