//! What may stand where: the one place that knows the types and ranges of settings.

use super::{
    raw::{Raw, RawValue},
    units::{Size, parse_duration, parse_size, write_duration},
    value::Value,
};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// The most entries of a list or table, and the longest text, in bytes.
const MANY: usize = 1000;
const LONG: usize = 16 << 10;

/// Says what a setting may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum SettingKind {
    /// `true` or `false`.
    Bool,
    /// A whole number within a range.
    Whole(i64, i64),
    /// A number within a range, with or without its ends.
    Number(Range),
    /// A duration within a range.
    Duration(Duration, Duration),
    /// A number of bytes within a range.
    Size(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text of a form.
    Text(&'static Form),
    /// A list, none of whose items is there twice.
    List(&'static Self),
    /// 1 to 200 numbers, each above the one before.
    Ascending,
}

/// Reads `name=value,...`, of which each value is of a kind; lists have commas of their own, so that
/// `;` stands between their names.
pub(super) fn parse_table(kind: &SettingKind, text: &str) -> Option<BTreeMap<String, Value>> {
    if text == "none" {
        return Some(BTreeMap::new());
    }
    let comma =
        if matches!(kind, SettingKind::List(_) | SettingKind::Ascending) { ';' } else { ',' };
    let items = text.split(comma).map(str::trim);
    let one = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some((name.to_owned(), kind.parse(value.trim())?))
    };
    items.map(one).collect()
}

/// Bounds a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// The lower end.
    pub(super) least: f64,
    /// Whether the lower end is allowed itself.
    pub(super) least_in: bool,
    /// The upper end.
    pub(super) most: f64,
    /// Whether the upper end is allowed itself.
    pub(super) most_in: bool,
}

impl Range {
    /// A share, 0 to 1.
    pub(super) const SHARE: Self = Self { least: 0.0, least_in: true, most: 1.0, most_in: true };
    /// A rate, more than 0 and at most 1.
    pub(super) const RATE: Self = Self { least_in: false, ..Self::SHARE };

    fn has(&self, number: f64) -> bool {
        // Written so that what is not a number fails too.
        let above = if self.least_in { number >= self.least } else { number > self.least };
        let below = if self.most_in { number <= self.most } else { number < self.most };
        above && below
    }

    fn allowed(&self) -> String {
        let least = if self.least_in { "from" } else { "above" };
        if self.most == f64::MAX {
            return format!("a number {least} {}", self.least);
        }
        let most = if self.most_in { "to" } else { "to below" };
        format!("a number {least} {} {most} {}", self.least, self.most)
    }
}

/// Describes a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// What is allowed, in words.
    pub(super) allowed: &'static str,
    /// The same for JSON Schema (ECMA 262), as far as it can be said so.
    pub(super) pattern: &'static str,
    /// Tells whether a text is of this form.
    pub(super) is: fn(&str) -> bool,
    /// A text of this form.
    pub(super) example: &'static str,
}

impl SettingKind {
    /// Tells whether a value may stand here.
    #[must_use]
    pub(super) fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) => true,
            (Self::Whole(least, most), Value::Whole(whole)) => (least..=most).contains(&whole),
            (Self::Number(range), Value::Number(number)) => range.has(*number),
            (Self::Duration(least, most), Value::Duration(value)) => {
                (least..=most).contains(&value)
            }
            (Self::Size(least, most), Value::Size(Size(bytes))) => (least..=most).contains(&bytes),
            (Self::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Text(form), Value::Text(text)) => {
                !text.trim().is_empty() && text.len() <= LONG && (form.is)(text)
            }
            (Self::List(kind), Value::List(items)) => {
                let once = |(i, item)| kind.allows(item) && !items[..i].contains(item);
                items.len() <= MANY && items.iter().enumerate().all(once)
            }
            (Self::Ascending, Value::List(items)) => {
                let number = |item: &Value| match item {
                    Value::Number(number) if number.is_finite() => Some(*number),
                    _ => None,
                };
                let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
                numbers.is_some_and(|numbers| {
                    (1..=200).contains(&numbers.len())
                        && numbers.windows(2).all(|pair| pair[0] < pair[1])
                })
            }
            _ => false,
        }
    }

    /// Reads what stands in a file; `None` if it is not allowed.
    pub(super) fn read(&self, raw: &Raw) -> Option<Value> {
        let value = self.convert(raw)?;
        self.allows(&value).then_some(value)
    }

    fn convert(&self, raw: &Raw) -> Option<Value> {
        Some(match (self, &raw.value) {
            (Self::Bool, RawValue::Bool(value)) => Value::Bool(*value),
            (Self::Whole(..), RawValue::Whole(whole)) => Value::Whole(*whole),
            (Self::Number(_), RawValue::Whole(whole)) => Value::Number(*whole as f64),
            (Self::Number(_), RawValue::Number(number)) => Value::Number(*number),
            (Self::Duration(..), RawValue::Text(text)) => Value::Duration(parse_duration(text)?),
            (Self::Size(..), RawValue::Text(text)) => Value::Size(parse_size(text)?),
            (Self::Word(_) | Self::Text(_), RawValue::Text(text)) => Value::Text(text.clone()),
            (Self::List(kind), RawValue::List(items)) => {
                Value::List(items.iter().map(|item| kind.convert(item)).collect::<Option<_>>()?)
            }
            (Self::Ascending, RawValue::List(items)) => {
                let kind = Self::Number(ANY);
                Value::List(items.iter().map(|item| kind.convert(item)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// Reads what stands in an environment variable of meshwise's own; `None` if it is not allowed.
    /// Lists have commas between their items.
    #[must_use]
    pub(super) fn parse(&self, text: &str) -> Option<Value> {
        let items = || text.split(',').map(str::trim);
        let value = match self {
            Self::Bool => match text {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return None,
            },
            Self::Whole(..) => Value::Whole(text.parse().ok()?),
            Self::Number(_) => Value::Number(text.parse().ok()?),
            Self::Duration(..) => Value::Duration(parse_duration(text)?),
            Self::Size(..) => Value::Size(parse_size(text)?),
            Self::Word(_) | Self::Text(_) => Value::Text(text.to_owned()),
            // Nothing at all cannot be said by a variable that counts as unset when it is empty.
            Self::List(_) if text == "none" => Value::List(Vec::new()),
            Self::List(kind) => Value::List(items().map(|i| kind.parse(i)).collect::<Option<_>>()?),
            Self::Ascending => {
                let kind = Self::Number(ANY);
                Value::List(items().map(|item| kind.parse(item)).collect::<Option<_>>()?)
            }
        };
        self.allows(&value).then_some(value)
    }

    /// Says in words what is allowed.
    #[must_use]
    pub(super) fn allowed(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Whole(least, most) => match *most {
                i64::MAX => format!("a whole number from {least}"),
                most => format!("a whole number from {least} to {most}"),
            },
            Self::Number(range) => range.allowed(),
            Self::Duration(least, most) => format!(
                "a duration with its unit, such as \"250ms\", \"10s\" or \"5m\", from {} to {}",
                write_duration(*least),
                write_duration(*most)
            ),
            Self::Size(least, most) => format!(
                "a size with its unit, such as \"64KiB\" or \"8MiB\", from {} to {}",
                Size(*least),
                Size(*most)
            ),
            Self::Word(words) => {
                let mut all = String::from("one of ");
                for (i, word) in words.iter().enumerate() {
                    let _ = write!(all, "{}\"{word}\"", if i == 0 { "" } else { ", " });
                }
                all
            }
            Self::Text(form) => form.allowed.to_owned(),
            Self::List(kind) => {
                format!("a list, nothing in it twice, of which each is {}", kind.allowed())
            }
            Self::Ascending => "a list of 1 to 200 ascending numbers".to_owned(),
        }
    }

    /// Says the same to who sets it in code, where the type is known.
    #[must_use]
    pub(super) fn bounds(&self) -> String {
        match self {
            Self::Whole(least, most) => format!("{least} to {most}"),
            Self::Number(Range { least, least_in, most, most_in }) => format!(
                "{} {least} and {} {most}",
                if *least_in { "at least" } else { "more than" },
                if *most_in { "at most" } else { "less than" },
            ),
            Self::Duration(least, most) => {
                format!("at least {least:?} and at most {} days", most.as_secs() / 86_400)
            }
            other => other.allowed(),
        }
    }

    /// Returns values that are allowed, and differ, for tests that try every setting.
    #[must_use]
    pub(super) fn examples(&self) -> [Value; 3] {
        let texts = |one: &str, other: &str, third: &str| {
            [one, other, third].map(|text| Value::Text(text.to_owned()))
        };
        match self {
            // Only two there are.
            Self::Bool => [Value::Bool(true), Value::Bool(false), Value::Bool(true)],
            Self::Whole(least, most) => {
                [*least, least + (most - least).min(2) / 2, least + (most - least).min(2)]
                    .map(Value::Whole)
            }
            Self::Number(range) => {
                let width = (range.most - range.least).min(8.0);
                [0.25, 0.5, 0.75].map(|part| Value::Number(range.least + part * width))
            }
            Self::Duration(least, most) => {
                let width = (*most - *least).min(Duration::from_secs(8));
                [1, 2, 3].map(|part| Value::Duration(*least + width * part / 4))
            }
            Self::Size(least, most) => {
                let width = (most - least).min(4096);
                [1, 2, 3].map(|part| Value::Size(Size(least + width * part / 4)))
            }
            Self::Word(words) => texts(words[0], words[1 % words.len()], words[2 % words.len()]),
            Self::Text(form) => {
                let one = form.example.to_owned();
                let other = |end: &str| {
                    let longer = format!("{one}{end}");
                    if (form.is)(&longer) { longer } else { one.clone() }
                };
                texts(&one, &other("1"), &other("2"))
            }
            Self::List(kind) => kind.examples().map(|item| Value::List(vec![item])),
            Self::Ascending => [1.0, 2.0, 3.0]
                .map(|last| Value::List(vec![Value::Number(0.5), Value::Number(last)])),
        }
    }
}

const ANY: Range = Range { least: f64::MIN, least_in: true, most: f64::MAX, most_in: true };
