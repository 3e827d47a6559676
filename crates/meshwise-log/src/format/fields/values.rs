//! Values as they come: visited, or formatted already.

use super::{
    super::errors::{Chain, KindOf},
    Bare, Fields,
};
use meshwise_core::internal::told::{ToldValue, ToldValues};
use std::{error::Error, fmt};
use tracing::field::{Field, FieldSet, Visit};

impl Fields<'_> {
    /// Writes values that were formatted already; the fields are those of the event's call site.
    pub(crate) fn take(&mut self, values: &ToldValues, fields: &FieldSet) {
        let ToldValues { text, values, errors } = values;
        for (index, value) in values {
            match value {
                ToldValue::Flag(value) => self.flag(*index, *value),
                ToldValue::Real(value) => self.real(*index, *value),
                ToldValue::Signed(value) => self.signed(*index, *value),
                ToldValue::Unsigned(value) => self.unsigned(*index, *value),
                ToldValue::Text(range) | ToldValue::Formatted(range) => {
                    if let Some(known) = self.known(*index) {
                        self.text(known, range.of(text), true);
                    }
                }
                ToldValue::Error(number) => {
                    if let (Some(field), Some(error)) =
                        (fields.iter().nth(*index), errors.get(*number))
                    {
                        self.record_error(&field, error);
                    }
                }
            }
        }
    }

    fn unsigned(&mut self, field: usize, value: u64) {
        self.bare(field, Bare::Unsigned(value), itoa::Buffer::new().format(value));
    }

    fn signed(&mut self, field: usize, value: i64) {
        self.bare(field, Bare::Signed(value), itoa::Buffer::new().format(value));
    }

    fn flag(&mut self, field: usize, value: bool) {
        self.bare(field, Bare::Flag, if value { "true" } else { "false" });
    }

    fn real(&mut self, field: usize, value: f64) {
        if value.is_finite() {
            self.bare(field, Bare::Real(value), zmij::Buffer::new().format_finite(value));
        } else if let Some(known) = self.known(field) {
            // JSON has no such numbers.
            self.formatted(known, format_args!("{value}"));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(known) = self.known(field.index()) {
            self.formatted(known, format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(known) = self.known(field.index()) {
            self.text(known, value, true);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.unsigned(field.index(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.signed(field.index(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.flag(field.index(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.real(field.index(), value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match (u64::try_from(value), self.known(field.index())) {
            (Ok(value), _) => self.record_u64(field, value),
            // Readers that hold numbers as doubles would round it.
            (Err(_), Some(known)) => self.formatted(known, format_args!("{value}")),
            (Err(_), None) => {}
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match (i64::try_from(value), self.known(field.index())) {
            (Ok(value), _) => self.record_i64(field, value),
            (Err(_), Some(known)) => self.formatted(known, format_args!("{value}")),
            (Err(_), None) => {}
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.part_of_error(field, "message", format_args!("{value}"));
        self.part_of_error(field, "type", format_args!("{}", KindOf(value)));
        if value.source().is_some() {
            self.part_of_error(field, "chain", format_args!("{}", Chain(value)));
        }
    }
}
