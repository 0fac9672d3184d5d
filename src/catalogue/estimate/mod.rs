//! How long a call takes, and what it leaves behind, as a small expression over its parameters.
//!
//! The language is total: every expression has an end, and whatever cannot be told (a parameter that was
//! not given, a device whose state is not known, a division by zero) is *unknown*, which spreads until
//! something decides without it. It has
//!
//! - numbers (`30`, `0.5`, `1e3`), texts (`"fast"`), `true`, `false`;
//! - the parameters by name, and `state.NAME` for what a device shows now;
//! - `+ - * /`, `< <= > >= == !=`, `&& || !`, `CONDITION ? A : B`, brackets;
//! - `min(…)`, `max(…)`, `abs(x)`, `ceil(x)`, `floor(x)`, `round(x)`, `given(parameter)`, `count(list)`,
//!   `sum(list)`.

mod evaluate;
mod parse;

use std::ops::Range;

use serde_json::{Map, Value};

use super::model::{Ordered, ParameterSpec};

/// The longest expression, in bytes.
pub const LONGEST: usize = 1000;

/// An expression that was found sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    root: Term,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// Where, in bytes of the expression.
    pub range: Range<usize>,
    /// What.
    pub message: String,
    /// What to do.
    pub help: Vec<String>,
}

impl ExpressionError {
    fn new(range: Range<usize>, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { range, message: message.into(), help: Vec::new() })
    }

    fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help.push(help.into());
        self
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Number(f64),
    Boolean(bool),
    Text(String),
    Parameter(String),
    State(String),
    Given(String),
    Not(Box<Term>),
    Negative(Box<Term>),
    Binary(Operator, Box<(Term, Term)>),
    Choice(Box<(Term, Term, Term)>),
    Call(Function, Vec<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Abs,
    Ceil,
    Floor,
    Round,
    Count,
    Sum,
}

const FUNCTIONS: [(&str, Function); 8] = [
    ("min", Function::Min),
    ("max", Function::Max),
    ("abs", Function::Abs),
    ("ceil", Function::Ceil),
    ("floor", Function::Floor),
    ("round", Function::Round),
    ("count", Function::Count),
    ("sum", Function::Sum),
];

impl Expression {
    /// Reads an expression over these parameters.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: its form, a name that is no parameter's, a type that does not fit.
    pub fn parse(text: &str, parameters: &Ordered<ParameterSpec>) -> Result<Self, Box<ExpressionError>> {
        parse::parse(text, parameters, parse::Meaning::Seconds).map(|root| Self { root })
    }

    /// Reads an expression for the value of a device.
    ///
    /// # Errors
    ///
    /// As [`Expression::parse`].
    pub fn parse_value(
        text: &str,
        parameters: &Ordered<ParameterSpec>,
    ) -> Result<Self, Box<ExpressionError>> {
        parse::parse(text, parameters, parse::Meaning::Value).map(|root| Self { root })
    }

    /// The seconds that a call with these arguments takes, defaults included; `None` when that is not
    /// known. `state` tells what a device shows.
    #[must_use]
    pub fn seconds(
        &self,
        arguments: &Map<String, Value>,
        state: &dyn Fn(&str) -> Option<Value>,
    ) -> Option<f64> {
        // A formula that gives less than nothing says nothing.
        self.number(arguments, state).filter(|seconds| *seconds >= 0.0)
    }

    /// The number that it gives for these arguments, defaults included; `None` when that is not known.
    #[must_use]
    pub fn number(
        &self,
        arguments: &Map<String, Value>,
        state: &dyn Fn(&str) -> Option<Value>,
    ) -> Option<f64> {
        match evaluate::evaluate(&self.root, arguments, state) {
            evaluate::Known::Number(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
