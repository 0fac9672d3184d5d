//! What the grammar allows and the compiler refuses.

use std::sync::Arc;

use ruff_python_ast::{
    Expr, Parameters, Stmt,
    visitor::{self, Visitor},
};
use ruff_text_size::Ranged;

use super::{SYNTAX_ERROR, checker::range, diagnostic};
use crate::{
    catalogue::{Diagnostic, Source},
    protocol::view::Severity,
};

/// The first statement that stands where it may not.
pub(super) fn first_error(source: &Arc<Source>, body: &[Stmt]) -> Option<Diagnostic> {
    let mut walk = Walk { source, in_function: false, is_async: false, in_loop: false, found: None };
    walk.visit_body(body);
    walk.found
}

struct Walk<'s> {
    source: &'s Arc<Source>,
    in_function: bool,
    is_async: bool,
    in_loop: bool,
    found: Option<Diagnostic>,
}

impl Walk<'_> {
    fn refuse(&mut self, at: &impl Ranged, message: impl Into<String>) {
        if self.found.is_none() {
            let message = message.into();
            self.found = Some(diagnostic(self.source, Severity::Error, SYNTAX_ERROR, range(at), message));
        }
    }

    fn inside(&mut self, in_function: bool, is_async: bool, in_loop: bool, walk: impl FnOnce(&mut Self)) {
        let before = (self.in_function, self.is_async, self.in_loop);
        (self.in_function, self.is_async, self.in_loop) = (in_function, is_async, in_loop);
        walk(self);
        (self.in_function, self.is_async, self.in_loop) = before;
    }

    fn parameters(&mut self, parameters: &Parameters) {
        let mut seen = std::collections::HashSet::new();
        for parameter in parameters.iter() {
            let name = parameter.name();
            if !seen.insert(name.as_str()) {
                let message = format!("duplicate argument '{name}' in function definition");
                self.refuse(name, message);
            }
        }
    }
}

impl<'a> Visitor<'a> for Walk<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if self.found.is_some() {
            return;
        }
        match stmt {
            Stmt::FunctionDef(function) => {
                function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
                self.parameters(&function.parameters);
                self.visit_parameters(&function.parameters);
                self.inside(true, function.is_async, false, |walk| walk.visit_body(&function.body));
            }
            Stmt::ClassDef(class) => {
                self.inside(false, false, false, |walk| walk.visit_body(&class.body));
            }
            Stmt::For(repeat) => {
                self.visit_expr(&repeat.iter);
                let (function, is_async) = (self.in_function, self.is_async);
                self.inside(function, is_async, true, |walk| walk.visit_body(&repeat.body));
                self.visit_body(&repeat.orelse);
            }
            Stmt::While(repeat) => {
                self.visit_expr(&repeat.test);
                let (function, is_async) = (self.in_function, self.is_async);
                self.inside(function, is_async, true, |walk| walk.visit_body(&repeat.body));
                self.visit_body(&repeat.orelse);
            }
            Stmt::Return(_) if !self.in_function => self.refuse(stmt, "'return' outside function"),
            Stmt::Break(_) if !self.in_loop => self.refuse(stmt, "'break' outside loop"),
            Stmt::Continue(_) if !self.in_loop => self.refuse(stmt, "'continue' not properly in loop"),
            Stmt::Nonlocal(_) if !self.in_function => {
                self.refuse(stmt, "nonlocal declaration not allowed at module level");
            }
            other => visitor::walk_stmt(self, other),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if self.found.is_some() {
            return;
        }
        match expr {
            Expr::Yield(_) | Expr::YieldFrom(_) if !self.in_function => {
                return self.refuse(expr, "'yield' outside function");
            }
            Expr::Await(_) if !self.in_function => {
                return self.refuse(expr, "'await' outside function");
            }
            Expr::Await(_) if !self.is_async => {
                return self.refuse(expr, "'await' outside async function");
            }
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.parameters(parameters);
                    self.visit_parameters(parameters);
                }
                return self.inside(true, false, false, |walk| walk.visit_expr(&lambda.body));
            }
            Expr::Call(call) => {
                let mut seen = std::collections::HashSet::new();
                for name in call.arguments.keywords.iter().filter_map(|keyword| keyword.arg.as_ref()) {
                    if !seen.insert(name.as_str()) {
                        return self.refuse(name, format!("keyword argument repeated: {name}"));
                    }
                }
            }
            _ => {}
        }
        visitor::walk_expr(self, expr);
    }
}
