//! Values that stand in a script as they are.

use ruff_python_ast::{Expr, Number as PythonNumber, Operator, UnaryOp};
use serde_json::{Map, Number, Value};

/// The value of an expression, if it is a literal or arithmetic on literal numbers.
pub(super) fn value_of(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::NoneLiteral(_) => Some(Value::Null),
        Expr::BooleanLiteral(literal) => Some(Value::Bool(literal.value)),
        Expr::StringLiteral(literal) => Some(Value::String(literal.value.to_str().to_owned())),
        Expr::NumberLiteral(_) | Expr::UnaryOp(_) | Expr::BinOp(_) => match number_of(expr)? {
            Arithmetic::Whole(number) => Some(Value::Number(number.into())),
            Arithmetic::Real(number) => Number::from_f64(number).map(Value::Number),
        },
        Expr::List(list) => list.elts.iter().map(value_of).collect::<Option<_>>().map(Value::Array),
        Expr::Tuple(tuple) => tuple.elts.iter().map(value_of).collect::<Option<_>>().map(Value::Array),
        Expr::Dict(dict) => {
            let members = dict.items.iter().map(|item| match value_of(item.key.as_ref()?)? {
                Value::String(key) => Some((key, value_of(&item.value)?)),
                _ => None,
            });
            members.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// The number of an expression, if it is known.
pub(super) fn seconds_of(expr: &Expr) -> Option<f64> {
    number_of(expr).map(Arithmetic::real)
}

#[derive(Clone, Copy)]
enum Arithmetic {
    Whole(i64),
    Real(f64),
}

impl Arithmetic {
    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

fn number_of(expr: &Expr) -> Option<Arithmetic> {
    match expr {
        Expr::NumberLiteral(literal) => match &literal.value {
            PythonNumber::Int(number) => match number.as_i64() {
                Some(number) => Some(Arithmetic::Whole(number)),
                None => number.to_string().parse().ok().map(Arithmetic::Real),
            },
            PythonNumber::Float(number) => Some(Arithmetic::Real(*number)),
            PythonNumber::Complex { .. } => None,
        },
        Expr::UnaryOp(operation) => match (operation.op, number_of(&operation.operand)?) {
            (UnaryOp::UAdd, number) => Some(number),
            (UnaryOp::USub, Arithmetic::Whole(number)) => number.checked_neg().map(Arithmetic::Whole),
            (UnaryOp::USub, Arithmetic::Real(number)) => Some(Arithmetic::Real(-number)),
            (UnaryOp::Not | UnaryOp::Invert, _) => None,
        },
        Expr::BinOp(operation) => {
            let (left, right) = (number_of(&operation.left)?, number_of(&operation.right)?);
            calculated(operation.op, left, right)
        }
        _ => None,
    }
}

fn calculated(operator: Operator, left: Arithmetic, right: Arithmetic) -> Option<Arithmetic> {
    if let (Arithmetic::Whole(left), Arithmetic::Whole(right)) = (left, right) {
        let whole = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Sub => left.checked_sub(right),
            Operator::Mult => left.checked_mul(right),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(Arithmetic::Whole(whole));
        }
    }
    let (left, right) = (left.real(), right.real());
    let real = match operator {
        Operator::Add => left + right,
        Operator::Sub => left - right,
        Operator::Mult => left * right,
        Operator::Div if right != 0.0 => left / right,
        _ => return None,
    };
    Some(Arithmetic::Real(real))
}
