//! The value of an expression. Its cost is bounded by the length of the expression and of the arguments.

use serde_json::{Map, Value};

use super::{Function, Operator, Term};

/// A value, or nothing that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    Number(f64),
    Boolean(bool),
    Text(String),
    /// How many items, and their sum when all are numbers.
    List(usize, Option<f64>),
    Unknown,
}

pub(super) fn evaluate(
    term: &Term,
    arguments: &Map<String, Value>,
    state: &dyn Fn(&str) -> Option<Value>,
) -> Known {
    let value = |term: &Term| evaluate(term, arguments, state);
    match term {
        Term::Number(number) => Known::Number(*number),
        Term::Boolean(flag) => Known::Boolean(*flag),
        Term::Text(text) => Known::Text(text.clone()),
        Term::Parameter(name) => arguments.get(name).map_or(Known::Unknown, of_json),
        Term::State(name) => state(name).as_ref().map_or(Known::Unknown, of_json),
        Term::Given(name) => Known::Boolean(arguments.get(name).is_some_and(|value| !value.is_null())),
        Term::Not(inner) => match value(inner) {
            Known::Boolean(flag) => Known::Boolean(!flag),
            _ => Known::Unknown,
        },
        Term::Negative(inner) => match value(inner) {
            Known::Number(number) => Known::Number(-number),
            _ => Known::Unknown,
        },
        Term::Binary(operator, sides) => binary(*operator, value(&sides.0), value(&sides.1)),
        Term::Choice(parts) => match value(&parts.0) {
            Known::Boolean(true) => value(&parts.1),
            Known::Boolean(false) => value(&parts.2),
            // When both ways lead to the same, the way does not matter.
            _ => {
                let (one, other) = (value(&parts.1), value(&parts.2));
                if one == other { one } else { Known::Unknown }
            }
        },
        Term::Call(function, given) => call(*function, given.iter().map(value).collect()),
    }
}

fn of_json(value: &Value) -> Known {
    match value {
        Value::Number(number) => number.as_f64().map_or(Known::Unknown, Known::Number),
        Value::Bool(flag) => Known::Boolean(*flag),
        Value::String(text) => Known::Text(text.clone()),
        Value::Array(items) => {
            Known::List(items.len(), items.iter().try_fold(0.0, |sum, item| Some(sum + item.as_f64()?)))
        }
        Value::Object(members) => {
            Known::List(members.len(), members.values().try_fold(0.0, |sum, item| Some(sum + item.as_f64()?)))
        }
        Value::Null => Known::Unknown,
    }
}

fn binary(operator: Operator, left: Known, right: Known) -> Known {
    match (operator, &left, &right) {
        (Operator::And, Known::Boolean(false), _) | (Operator::And, _, Known::Boolean(false)) => {
            Known::Boolean(false)
        }
        (Operator::And, Known::Boolean(true), Known::Boolean(true)) => Known::Boolean(true),
        (Operator::Or, Known::Boolean(true), _) | (Operator::Or, _, Known::Boolean(true)) => {
            Known::Boolean(true)
        }
        (Operator::Or, Known::Boolean(false), Known::Boolean(false)) => Known::Boolean(false),
        (Operator::Equal | Operator::NotEqual, Known::Unknown, _)
        | (Operator::Equal | Operator::NotEqual, _, Known::Unknown) => Known::Unknown,
        // A number is never equal to a word: `value == "keep"` is false for 5.
        (Operator::Equal, left, right) => Known::Boolean(left == right),
        (Operator::NotEqual, left, right) => Known::Boolean(left != right),
        (operator, Known::Number(left), Known::Number(right)) => numbers(operator, *left, *right),
        _ => Known::Unknown,
    }
}

fn numbers(operator: Operator, left: f64, right: f64) -> Known {
    let number = |number: f64| if number.is_finite() { Known::Number(number) } else { Known::Unknown };
    match operator {
        Operator::Add => number(left + right),
        Operator::Subtract => number(left - right),
        Operator::Multiply => number(left * right),
        Operator::Divide => number(left / right),
        Operator::Less => Known::Boolean(left < right),
        Operator::LessOrEqual => Known::Boolean(left <= right),
        Operator::Greater => Known::Boolean(left > right),
        Operator::GreaterOrEqual => Known::Boolean(left >= right),
        Operator::Equal | Operator::NotEqual | Operator::And | Operator::Or => Known::Unknown,
    }
}

fn call(function: Function, given: Vec<Known>) -> Known {
    let numbers: Option<Vec<f64>> = given
        .iter()
        .map(|value| match value {
            Known::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    match (function, numbers.as_deref(), given.first()) {
        (Function::Count, _, Some(Known::List(count, _))) => Known::Number(*count as f64),
        (Function::Count, _, Some(Known::Text(text))) => Known::Number(text.chars().count() as f64),
        (Function::Sum, _, Some(Known::List(_, Some(sum)))) => Known::Number(*sum),
        (Function::Min, Some([first, rest @ ..]), _) => {
            Known::Number(rest.iter().fold(*first, |least, number| least.min(*number)))
        }
        (Function::Max, Some([first, rest @ ..]), _) => {
            Known::Number(rest.iter().fold(*first, |most, number| most.max(*number)))
        }
        (Function::Abs, Some([number]), _) => Known::Number(number.abs()),
        (Function::Ceil, Some([number]), _) => Known::Number(number.ceil()),
        (Function::Floor, Some([number]), _) => Known::Number(number.floor()),
        (Function::Round, Some([number]), _) => Known::Number(number.round()),
        _ => Known::Unknown,
    }
}
