//! Which names a script binds, and to what.

use std::collections::HashMap;

use ruff_python_ast::{
    Alias, ExceptHandler, Expr, ExprContext, Parameters, Pattern, Stmt,
    visitor::{self, Visitor},
};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Something that was imported, by its full name: `time.sleep`.
    Imported(String),
    /// Something of the script's own, or one thing here and another there.
    Own,
}

/// The names of a module, a class or a function.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    names: HashMap<&'a str, Binding>,
    /// The modules of `from … import *`, in order.
    pub(super) stars: Vec<String>,
}

impl<'a> Scope<'a> {
    /// What these statements bind in their own scope.
    pub(super) fn of(body: &'a [Stmt]) -> Self {
        let mut scope = Self::default();
        scope.visit_body(body);
        scope
    }

    /// What a function binds: its parameters and what its body binds.
    pub(super) fn of_function(parameters: Option<&'a Parameters>, body: &'a [Stmt]) -> Self {
        let mut scope = Self::of(body);
        for parameter in parameters.into_iter().flat_map(Parameters::iter) {
            scope.bind(parameter.name().as_str(), Binding::Own);
        }
        scope
    }

    /// What a name stands for, if it is bound here.
    pub(super) fn get(&self, name: &str) -> Option<&Binding> {
        self.names.get(name)
    }

    fn bind(&mut self, name: &'a str, binding: Binding) {
        // A script that binds a name twice is followed nowhere: which one is meant depends on its run.
        let agreed = match self.names.get(name) {
            Some(earlier) if *earlier != binding => Binding::Own,
            _ => binding,
        };
        self.names.insert(name, agreed);
    }

    fn import(&mut self, alias: &'a Alias) {
        match &alias.asname {
            Some(name) => self.bind(name.as_str(), Binding::Imported(alias.name.to_string())),
            // `import a.b` binds `a`.
            None => {
                let first = alias.name.split('.').next().unwrap_or_default();
                self.bind(first, Binding::Imported(first.to_owned()));
            }
        }
    }
}

impl<'a> Visitor<'a> for Scope<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                self.bind(function.name.as_str(), Binding::Own);
                function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
            }
            Stmt::ClassDef(class) => self.bind(class.name.as_str(), Binding::Own),
            Stmt::Import(import) => import.names.iter().for_each(|alias| self.import(alias)),
            Stmt::ImportFrom(import) => {
                let module = match &import.module {
                    Some(module) if import.level == 0 => module.to_string(),
                    _ => ".".to_owned(),
                };
                for alias in &import.names {
                    if alias.name.as_str() == "*" {
                        self.stars.push(module.clone());
                        continue;
                    }
                    let name = alias.asname.as_ref().unwrap_or(&alias.name);
                    self.bind(name.as_str(), Binding::Imported(format!("{module}.{}", alias.name)));
                }
            }
            Stmt::Global(global) => {
                global.names.iter().for_each(|name| self.bind(name.as_str(), Binding::Own));
            }
            other => visitor::walk_stmt(self, other),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Name(name) = expr
            && !matches!(name.ctx, ExprContext::Load)
        {
            self.bind(name.id.as_str(), Binding::Own);
        }
        visitor::walk_expr(self, expr);
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(inner) = handler;
        if let Some(name) = &inner.name {
            self.bind(name.as_str(), Binding::Own);
        }
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(inner) => inner.name.as_ref(),
            Pattern::MatchStar(inner) => inner.name.as_ref(),
            Pattern::MatchMapping(inner) => inner.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.bind(name.as_str(), Binding::Own);
        }
        visitor::walk_pattern(self, pattern);
    }
}
