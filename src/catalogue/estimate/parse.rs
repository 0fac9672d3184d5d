//! From the text of an expression to its terms, checking names and types on the way.

use std::ops::Range;

use super::{ExpressionError, FUNCTIONS, Function, LONGEST, Operator, Term};
use crate::catalogue::{
    model::{Ordered, ParameterSpec, ParameterType},
    names,
};

/// No expression of a person nests deeper.
const DEEPEST: usize = 40;

type Parsed<T> = Result<T, Box<ExpressionError>>;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Mark(&'static str),
    End,
}

/// What a term can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Boolean,
    Text,
    List,
    /// Known only when it is evaluated.
    Any,
}

impl Type {
    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Any => "anything",
        }
    }
}

struct Typed {
    term: Term,
    kind: Type,
    range: Range<usize>,
}

/// What `5 minutes` is as an estimate.
fn in_seconds(text: &str) -> Option<String> {
    let (number, unit) = text.trim().split_once(' ')?;
    let factor = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok().filter(|number| number.is_finite())? * factor;
    Some(format!("an estimate is in seconds, without a unit: {seconds}"))
}

/// What the number of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// How long a call takes.
    Seconds,
    /// What a device shows.
    Value,
}

pub(super) fn parse(text: &str, parameters: &Ordered<ParameterSpec>, meaning: Meaning) -> Parsed<Term> {
    if text.len() > LONGEST {
        let message = format!("the expression is longer than {LONGEST} bytes");
        return Err(ExpressionError::new(0..text.len(), message)
            .help("move the arithmetic into Python: `simulate: module:function`"));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, parameters };
    let whole = parser.choice()?;
    let (token, range) = parser.peek();
    if token != Token::End {
        let in_a_unit = text.split_once(' ').is_some_and(|(number, _)| number.parse::<f64>().is_ok());
        let help = match meaning {
            Meaning::Seconds => in_seconds(text),
            Meaning::Value => {
                in_a_unit.then(|| "write the number alone, in the unit of the device".to_owned())
            }
        };
        let help = help.unwrap_or_else(|| "is an operator missing?".to_owned());
        return Err(ExpressionError::new(range, "the expression has ended before this").help(help));
    }
    let wanted = match meaning {
        Meaning::Seconds => "an estimate is a number of seconds",
        Meaning::Value => "what a device shows is a number",
    };
    parser.want(&whole, Type::Number, wanted)?;
    Ok(whole.term)
}

const MARKS: [&str; 19] =
    ["<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "<", ">", "?", ":", "!", "(", ")", ",", "."];

fn tokens(text: &str) -> Parsed<Vec<(Token, Range<usize>)>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let length = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c.is_ascii_digit() || (c == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) {
            let (number, length) = number(rest, at)?;
            tokens.push((Token::Number(number), at..at + length));
            length
        } else if c.is_alphabetic() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push((Token::Name(rest.get(..length).unwrap_or_default().to_owned()), at..at + length));
            length
        } else if c == '"' || c == '\'' {
            let inner = rest.get(1..).unwrap_or_default();
            let end =
                inner.find(c).ok_or_else(|| ExpressionError::new(at..at + 1, "this text is not closed"))?;
            tokens.push((Token::Text(inner.get(..end).unwrap_or_default().to_owned()), at..at + end + 2));
            end + 2
        } else if let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) {
            tokens.push((Token::Mark(mark), at..at + mark.len()));
            mark.len()
        } else {
            let error = ExpressionError::new(at..at + c.len_utf8(), format!("`{c}` means nothing here"));
            return Err(match c {
                '=' => error.help("compare with `==`"),
                '&' => error.help("write `&&` for and"),
                '|' => error.help("write `||` for or"),
                '%' | '^' => error.help("there are `+ - * /`, min, max, abs, ceil, floor, round"),
                _ => error,
            });
        };
        at += length;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

fn number(rest: &str, at: usize) -> Parsed<(f64, usize)> {
    let bytes = rest.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let exponent_sign =
            matches!(byte, b'+' | b'-') && length > 0 && matches!(bytes.get(length - 1), Some(b'e' | b'E'));
        if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || exponent_sign) {
            break;
        }
        length += 1;
    }
    let text = rest.get(..length).unwrap_or_default();
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((number, length)),
        _ => Err(ExpressionError::new(at..at + length, format!("`{text}` is not a number"))),
    }
}

struct Parser<'a> {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
    parameters: &'a Ordered<ParameterSpec>,
}

impl Parser<'_> {
    fn peek(&self) -> (Token, Range<usize>) {
        self.tokens.get(self.next).or(self.tokens.last()).cloned().unwrap_or((Token::End, 0..0))
    }

    fn take(&mut self) -> (Token, Range<usize>) {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn takes(&mut self, mark: &str) -> bool {
        let is_it = matches!(self.peek().0, Token::Mark(next) if next == mark);
        if is_it {
            self.next += 1;
        }
        is_it
    }

    fn expect(&mut self, mark: &'static str, why: &str) -> Parsed<Range<usize>> {
        let (token, range) = self.peek();
        if token == Token::Mark(mark) {
            self.next += 1;
            return Ok(range);
        }
        Err(ExpressionError::new(range, format!("`{mark}` is missing here: {why}")))
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return Err(ExpressionError::new(self.peek().1, "the expression nests too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn want(&self, typed: &Typed, wanted: Type, why: &str) -> Parsed<()> {
        if typed.kind == wanted || typed.kind == Type::Any {
            return Ok(());
        }
        let message = format!("this is {}; {why}", typed.kind.words());
        let error = ExpressionError::new(typed.range.clone(), message);
        Err(match typed.kind {
            Type::Boolean if wanted == Type::Number => {
                error.help("choose between two numbers: `CONDITION ? 30 : 1`")
            }
            Type::List => error.help("`count(…)` gives the number of items, `sum(…)` their sum"),
            _ => error,
        })
    }

    fn choice(&mut self) -> Parsed<Typed> {
        self.deeper(|parser| {
            let condition = parser.any_of()?;
            if !parser.takes("?") {
                return Ok(condition);
            }
            parser.want(&condition, Type::Boolean, "before `?` stands a condition")?;
            let one = parser.choice()?;
            parser.expect(":", "a choice is written `CONDITION ? A : B`")?;
            let other = parser.choice()?;
            let kind = if one.kind == other.kind { one.kind } else { Type::Any };
            if kind == Type::Any && one.kind != Type::Any && other.kind != Type::Any {
                parser.want(&other, one.kind, &format!("the other way gives {}", one.kind.words()))?;
            }
            let range = condition.range.start..other.range.end;
            Ok(Typed { term: Term::Choice(Box::new((condition.term, one.term, other.term))), kind, range })
        })
    }

    fn any_of(&mut self) -> Parsed<Typed> {
        let mut left = self.all_of()?;
        while self.takes("||") {
            let right = self.all_of()?;
            left = self.logical(Operator::Or, left, right)?;
        }
        Ok(left)
    }

    fn all_of(&mut self) -> Parsed<Typed> {
        let mut left = self.comparison()?;
        while self.takes("&&") {
            let right = self.comparison()?;
            left = self.logical(Operator::And, left, right)?;
        }
        Ok(left)
    }

    fn logical(&self, operator: Operator, left: Typed, right: Typed) -> Parsed<Typed> {
        for side in [&left, &right] {
            self.want(side, Type::Boolean, "`&&` and `||` join conditions")?;
        }
        Ok(binary(operator, left, right, Type::Boolean))
    }

    fn comparison(&mut self) -> Parsed<Typed> {
        const COMPARISONS: [(&str, Operator); 6] = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
        ];
        let left = self.sum()?;
        let Some((_, operator)) = COMPARISONS.into_iter().find(|(mark, _)| self.takes(mark)) else {
            return Ok(left);
        };
        let right = self.sum()?;
        if matches!(operator, Operator::Equal | Operator::NotEqual) {
            if left.kind != Type::Any {
                self.want(&right, left.kind, &format!("it is compared with {}", left.kind.words()))?;
            }
        } else {
            for side in [&left, &right] {
                self.want(side, Type::Number, "only numbers are less or greater")?;
            }
        }
        let (token, range) = self.peek();
        if COMPARISONS.iter().any(|(mark, _)| token == Token::Mark(mark)) {
            return Err(
                ExpressionError::new(range, "comparisons cannot be chained").help("write `a < b && b < c`")
            );
        }
        Ok(binary(operator, left, right, Type::Boolean))
    }

    fn sum(&mut self) -> Parsed<Typed> {
        let mut left = self.product()?;
        loop {
            let operator = if self.takes("+") {
                Operator::Add
            } else if self.takes("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.arithmetic(operator, left, right)?;
        }
    }

    fn product(&mut self) -> Parsed<Typed> {
        let mut left = self.unary()?;
        loop {
            let operator = if self.takes("*") {
                Operator::Multiply
            } else if self.takes("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.arithmetic(operator, left, right)?;
        }
    }

    fn arithmetic(&self, operator: Operator, left: Typed, right: Typed) -> Parsed<Typed> {
        for side in [&left, &right] {
            self.want(side, Type::Number, "`+ - * /` need numbers")?;
        }
        Ok(binary(operator, left, right, Type::Number))
    }

    fn unary(&mut self) -> Parsed<Typed> {
        let (_, start) = self.peek();
        if self.takes("-") {
            let inner = self.deeper(Self::unary)?;
            self.want(&inner, Type::Number, "`-` needs a number")?;
            let range = start.start..inner.range.end;
            return Ok(Typed { term: Term::Negative(Box::new(inner.term)), kind: Type::Number, range });
        }
        if self.takes("!") {
            let inner = self.deeper(Self::unary)?;
            self.want(&inner, Type::Boolean, "`!` turns a condition round")?;
            let range = start.start..inner.range.end;
            return Ok(Typed { term: Term::Not(Box::new(inner.term)), kind: Type::Boolean, range });
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed<Typed> {
        let (token, range) = self.take();
        match token {
            Token::Number(number) => Ok(Typed { term: Term::Number(number), kind: Type::Number, range }),
            Token::Text(text) => Ok(Typed { term: Term::Text(text), kind: Type::Text, range }),
            Token::Name(name) => self.named(&name, range),
            Token::Mark("(") => {
                let inner = self.choice()?;
                let end = self.expect(")", "the bracket is not closed")?;
                Ok(Typed { range: range.start..end.end, ..inner })
            }
            Token::Mark(mark) => {
                Err(ExpressionError::new(range, format!("a value is missing before `{mark}`")))
            }
            Token::End => Err(ExpressionError::new(range, "a value is missing at the end")),
        }
    }

    fn named(&mut self, name: &str, range: Range<usize>) -> Parsed<Typed> {
        match name {
            "true" | "false" => {
                return Ok(Typed { term: Term::Boolean(name == "true"), kind: Type::Boolean, range });
            }
            "state" if self.takes(".") => return self.state(range),
            "given" => {
                self.expect("(", "write `given(parameter)`")?;
                let parameter = self.parameter_name()?;
                let end = self.expect(")", "write `given(parameter)`")?;
                return Ok(Typed {
                    term: Term::Given(parameter),
                    kind: Type::Boolean,
                    range: range.start..end.end,
                });
            }
            _ => {}
        }
        if self.peek().0 == Token::Mark("(") {
            return self.call(name, range);
        }
        let spec = self.known_parameter(name, &range)?;
        let kind = if spec.keywords.is_empty() { type_of(spec.value.kind) } else { Type::Any };
        Ok(Typed { term: Term::Parameter(name.to_owned()), kind, range })
    }

    fn parameter_name(&mut self) -> Parsed<String> {
        match self.take() {
            (Token::Name(name), range) => self.known_parameter(&name, &range).map(|_| name.clone()),
            (_, range) => Err(ExpressionError::new(range, "the name of a parameter is missing here")),
        }
    }

    fn known_parameter(&self, name: &str, range: &Range<usize>) -> Parsed<&ParameterSpec> {
        if let Some(spec) = self.parameters.get(name) {
            return Ok(spec);
        }
        let error = ExpressionError::new(range.clone(), format!("there is no parameter `{name}`"));
        Err(match name {
            "and" => error.help("write `&&` for and"),
            "or" => error.help("write `||` for or"),
            "not" => error.help("write `!` for not"),
            "if" | "else" => error.help("a choice is written `CONDITION ? A : B`"),
            "True" | "False" => error.help("write `true` or `false`"),
            _ => {
                let functions = FUNCTIONS.iter().map(|(name, _)| *name);
                let known = self.parameters.names().chain(functions).chain(["state", "given"]);
                let mut error = error;
                if let Some(meant) = names::nearest(name, known) {
                    error = error.help(format!("did you mean `{meant}`?"));
                }
                let names: Vec<_> = self.parameters.names().collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                error.help(format!("parameters of this command: {names}; a device is `state.{name}`"))
            }
        })
    }

    fn state(&mut self, start: Range<usize>) -> Parsed<Typed> {
        match self.take() {
            (Token::Name(name), range) => {
                Ok(Typed { term: Term::State(name), kind: Type::Any, range: start.start..range.end })
            }
            (_, range) => Err(ExpressionError::new(range, "the name of a device is missing after `state.`")),
        }
    }

    fn call(&mut self, name: &str, range: Range<usize>) -> Parsed<Typed> {
        let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name).copied() else {
            let known = || FUNCTIONS.iter().map(|(name, _)| *name).chain(["given"]);
            let mut error = ExpressionError::new(range, format!("there is no function `{name}`"));
            if let Some(meant) = names::nearest(name, known()) {
                error = error.help(format!("did you mean `{meant}`?"));
            }
            return Err(error.help(format!("allowed: {}", known().collect::<Vec<_>>().join(", "))));
        };
        self.expect("(", "a function is followed by its values in brackets")?;
        let mut given = vec![self.choice()?];
        while self.takes(",") {
            given.push(self.choice()?);
        }
        let end = self.expect(")", "the bracket is not closed")?;
        let range = range.start..end.end;
        let many = matches!(function, Function::Min | Function::Max);
        if !many && given.len() != 1 {
            return Err(ExpressionError::new(
                range,
                format!("`{name}` takes one value, not {}", given.len()),
            ));
        }
        for value in &given {
            match function {
                Function::Count if matches!(value.kind, Type::List | Type::Text) => {}
                Function::Count | Function::Sum => {
                    self.want(value, Type::List, &format!("`{name}` needs a list"))?;
                }
                _ => self.want(value, Type::Number, &format!("`{name}` needs numbers"))?,
            }
        }
        let given = given.into_iter().map(|value| value.term).collect();
        Ok(Typed { term: Term::Call(function, given), kind: Type::Number, range })
    }
}

fn binary(operator: Operator, left: Typed, right: Typed, kind: Type) -> Typed {
    let range = left.range.start..right.range.end;
    Typed { term: Term::Binary(operator, Box::new((left.term, right.term))), kind, range }
}

fn type_of(kind: ParameterType) -> Type {
    match kind {
        ParameterType::Number | ParameterType::Integer => Type::Number,
        ParameterType::String => Type::Text,
        ParameterType::Boolean => Type::Boolean,
        ParameterType::Array | ParameterType::Object => Type::List,
    }
}
