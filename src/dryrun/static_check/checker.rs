//! The walk through a script.

use std::{ops::Range, sync::Arc};

use ruff_python_ast::{
    Expr, ExprCall, Stmt,
    visitor::{self, Visitor},
};
use ruff_text_size::Ranged;

use super::{
    Host,
    bindings::{Binding, Scope},
    builtins::is_builtin,
    diagnostic, flow,
};
use crate::{
    catalogue::{Catalogue, Diagnostic, Source},
    protocol::view::Severity,
};

/// The module whose functions are the commands.
pub(super) const COMMANDS: &str = "beamq.commands";
/// Nobody reads more findings than this.
const MOST_FINDINGS: usize = 200;
/// So many calls are looked at; more would make the check of a hostile script long.
const MOST_CALLS: usize = 50_000;

/// What a called expression stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// A thing with this full name: `beamq.commands.cset`, `time.sleep`, `builtins.input`.
    Known(String),
    /// A plain name that nothing in the script binds.
    Unbound(String),
    /// Something else.
    Other,
}

pub(super) struct Checker<'a> {
    pub(super) host: Host,
    pub(super) source: &'a Arc<Source>,
    pub(super) catalogue: &'a Catalogue,
    pub(super) found: Vec<Diagnostic>,
    scopes: Vec<Scope<'a>>,
    /// How many loops are around the present place, within its function.
    pub(super) loops: usize,
    calls: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        host: Host,
        source: &'a Arc<Source>,
        catalogue: &'a Catalogue,
        body: &'a [Stmt],
    ) -> Self {
        let scopes = vec![Scope::of(body)];
        Self { host, source, catalogue, found: Vec::new(), scopes, loops: 0, calls: 0 }
    }

    pub(super) fn check(&mut self, body: &'a [Stmt]) {
        self.visit_body(body);
        if self.found.len() >= MOST_FINDINGS {
            let message = format!("there may be more: only the first {MOST_FINDINGS} findings are listed");
            let end = self.source.text.len();
            self.add(diagnostic(self.source, Severity::Note, "not_checked", end..end, message));
        }
    }

    /// Notes a finding; the caller may add to it.
    pub(super) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: &impl Ranged,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(diagnostic(self.source, severity, code, range(at), message.into()))
    }

    /// Notes a finding that is ready.
    pub(super) fn add(&mut self, found: Diagnostic) -> &mut Diagnostic {
        self.found.push(found);
        let last = self.found.len() - 1;
        #[allow(clippy::indexing_slicing, reason = "it was pushed in the line before")]
        &mut self.found[last]
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MOST_FINDINGS || self.calls >= MOST_CALLS
    }

    /// What an expression that is called stands for.
    pub(super) fn callee(&self, func: &Expr) -> Callee {
        match func {
            Expr::Name(name) => self.named(name.id.as_str()),
            Expr::Attribute(attribute) => match self.path(&attribute.value, 8) {
                Some(path) => Callee::Known(format!("{path}.{}", attribute.attr)),
                None => Callee::Other,
            },
            _ => Callee::Other,
        }
    }

    /// The full name of an imported thing; longer chains than `left` are no names of modules.
    fn path(&self, expr: &Expr, left: usize) -> Option<String> {
        match expr {
            Expr::Name(name) => match self.named(name.id.as_str()) {
                Callee::Known(path) => Some(path),
                Callee::Unbound(_) | Callee::Other => None,
            },
            Expr::Attribute(attribute) if left > 0 => {
                self.path(&attribute.value, left - 1).map(|path| format!("{path}.{}", attribute.attr))
            }
            _ => None,
        }
    }

    fn named(&self, name: &str) -> Callee {
        match self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            Some(Binding::Imported(path)) => return Callee::Known(path.clone()),
            Some(Binding::Own) => return Callee::Other,
            None => {}
        }
        let mut stars = self.scopes.iter().flat_map(|scope| &scope.stars);
        match stars.next_back() {
            Some(last) if last == COMMANDS => {
                if self.catalogue.command(name).is_some() {
                    return Callee::Known(format!("{COMMANDS}.{name}"));
                }
                let others = stars.any(|star| star != COMMANDS);
                if others && !is_builtin(name) {
                    return Callee::Other;
                }
            }
            Some(star) if !is_builtin(name) => return Callee::Known(format!("{star}.{name}")),
            Some(_) | None => {}
        }
        if is_builtin(name) {
            Callee::Known(format!("builtins.{name}"))
        } else {
            Callee::Unbound(name.into())
        }
    }

    /// Whether `import *` brings in the commands.
    pub(super) fn has_all_commands(&self) -> bool {
        self.scopes.iter().any(|scope| scope.stars.iter().any(|star| star == COMMANDS))
    }

    fn within(&mut self, scope: Scope<'a>, loops: usize, walk: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.loops, loops);
        self.scopes.push(scope);
        walk(self);
        self.scopes.pop();
        self.loops = before;
    }

    fn looped(&mut self, body: &'a [Stmt]) {
        self.loops += 1;
        self.visit_body(body);
        self.loops -= 1;
    }

    fn call(&mut self, call: &'a ExprCall) {
        self.calls += 1;
        if self.calls == MOST_CALLS {
            let message = format!("only the first {MOST_CALLS} calls of this script are checked");
            self.report(Severity::Note, "not_checked", call, message);
        }
        match self.callee(&call.func) {
            Callee::Known(path) => {
                match path.strip_prefix(COMMANDS).and_then(|rest| rest.strip_prefix('.')) {
                    Some(name) => self.command_call(call, name),
                    None => self.habit(call, &path),
                }
            }
            Callee::Unbound(name) => self.unbound_call(call, &name),
            Callee::Other => {}
        }
    }
}

impl<'a> Visitor<'a> for Checker<'a> {
    fn visit_body(&mut self, body: &'a [Stmt]) {
        if let Some((behind, why)) = flow::unreachable(self, body) {
            let last = body.last().map_or(behind.end(), Ranged::end);
            let range = usize::from(behind.start())..usize::from(last);
            let found = diagnostic(
                self.source,
                Severity::Warning,
                "unreachable",
                range,
                format!("this is never reached: {why}"),
            );
            self.add(found);
        }
        visitor::walk_body(self, body);
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if self.is_full() {
            return;
        }
        match stmt {
            Stmt::FunctionDef(function) => {
                function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
                self.visit_parameters(&function.parameters);
                let scope = Scope::of_function(Some(&function.parameters), &function.body);
                self.within(scope, 0, |checker| checker.visit_body(&function.body));
            }
            Stmt::ClassDef(class) => {
                class.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
                if let Some(arguments) = &class.arguments {
                    self.visit_arguments(arguments);
                }
                let loops = self.loops;
                self.within(Scope::of(&class.body), loops, |checker| checker.visit_body(&class.body));
            }
            Stmt::While(repeat) => {
                self.endless(repeat);
                self.loops += 1;
                self.visit_expr(&repeat.test);
                self.loops -= 1;
                self.looped(&repeat.body);
                self.visit_body(&repeat.orelse);
            }
            Stmt::For(repeat) => {
                self.visit_expr(&repeat.iter);
                self.looped(&repeat.body);
                self.visit_body(&repeat.orelse);
            }
            Stmt::ImportFrom(import) => self.imported(import),
            other => visitor::walk_stmt(self, other),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if self.is_full() {
            return;
        }
        match expr {
            Expr::Call(call) => {
                self.call(call);
                visitor::walk_expr(self, expr);
            }
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                let scope = Scope::of_function(lambda.parameters.as_deref(), &[]);
                let loops = self.loops;
                self.within(scope, loops, |checker| checker.visit_expr(&lambda.body));
            }
            other => visitor::walk_expr(self, other),
        }
    }
}

/// The bytes of a node.
pub(super) fn range(node: &impl Ranged) -> Range<usize> {
    let range = node.range();
    usize::from(range.start())..usize::from(range.end())
}
