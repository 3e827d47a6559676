//! A random proto file under random edits.

use meshwise_api::contract::{Description, Severity};
use proptest::prelude::*;

use super::{Choices, Edit};

#[derive(Clone, Debug)]
struct Field {
    number: usize,
    name: String,
    kind: &'static str,
    repeated: bool,
}

#[derive(Clone, Debug, Default)]
struct Model {
    package: String,
    fields: Vec<Field>,
    reserved: Vec<Field>,
    /// Names and numbers of the enum's values.
    values: Vec<(String, usize)>,
    /// Names, and whether the caller streams.
    methods: Vec<(String, bool)>,
}

/// Types of which none is compatible with another.
const KINDS: [&str; 6] = ["string", "int32", "double", "Other", "Kind", "fixed64"];

impl Model {
    fn random(choices: &mut Choices) -> Self {
        let mut model = Self { package: "p".to_owned(), ..Self::default() };
        for at in 1..=3 + choices.below(5) {
            model.add_field(choices, at);
        }
        model.values = (0..2 + choices.below(4)).map(|at| (format!("V{at}"), at)).collect();
        model.methods = (0..1 + choices.below(3))
            .map(|at| (format!("Call{at}"), choices.below(2) == 0))
            .collect();
        model
    }

    fn add_field(&mut self, choices: &mut Choices, number: usize) {
        let kind = KINDS[choices.below(KINDS.len())];
        let name = format!("field_{number}");
        self.fields.push(Field { number, name, kind, repeated: choices.below(3) == 0 });
    }

    fn text(&self, choices: &mut Choices) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut body = String::new();
        let mut fields = self.fields.clone();
        // The order of a file means nothing.
        for at in (1..fields.len()).rev() {
            fields.swap(at, choices.below(at + 1));
        }
        for field in &fields {
            let repeated = if field.repeated { "repeated " } else { "" };
            body.push_str(&format!("{repeated}{} {} = {}; ", field.kind, field.name, field.number));
        }
        for field in &self.reserved {
            body.push_str(&format!("reserved {}; reserved \"{}\"; ", field.number, field.name));
        }
        parts.push(format!("message Main {{ {body} }}"));
        parts.push("message Other { Main back = 1; }".to_owned());
        let values: String =
            self.values.iter().map(|(name, at)| format!("{name} = {at}; ")).collect();
        parts.push(format!("enum Kind {{ {values} }}"));
        let call = |(name, stream): &(String, bool)| {
            let stream = if *stream { "stream " } else { "" };
            format!("rpc {name}({stream}Main) returns (Other); ")
        };
        parts
            .push(format!("service S {{ {} }}", self.methods.iter().map(call).collect::<String>()));
        let at = choices.below(parts.len());
        parts.rotate_left(at);
        format!("syntax = \"proto3\"; package {}; {}", self.package, parts.join(" "))
    }

    fn edit(&mut self, choices: &mut Choices, kind: Edit) {
        let field = choices.below(self.fields.len());
        match (kind, choices.below(5)) {
            (Edit::Compatible, 0) if self.fields.len() > 1 => {
                let field = self.fields.remove(field);
                self.reserved.push(field);
            }
            (Edit::Compatible, 1) => {
                let at = self.values.len();
                self.values.push((format!("V{at}"), at));
            }
            (Edit::Compatible, 2) => {
                let at = self.methods.len();
                self.methods.push((format!("Call{at}"), false));
            }
            (Edit::Compatible, _) => {
                let number = 1 + self
                    .fields
                    .iter()
                    .chain(&self.reserved)
                    .map(|f| f.number)
                    .max()
                    .unwrap_or(0);
                self.add_field(choices, number);
            }
            (Edit::Incompatible, 0) => {
                let field = &mut self.fields[field];
                let at = KINDS.iter().position(|kind| *kind == field.kind).expect("a kind");
                // An enum and an int32 share the binary form, and that breaks JSON.
                field.kind = KINDS[(at + 1 + choices.below(KINDS.len() - 1)) % KINDS.len()];
            }
            (Edit::Incompatible, 1) => self.fields[field].number += 100,
            (Edit::Incompatible, 2) => match choices.below(3) {
                0 => self.fields[field].name = "another".to_owned(),
                1 => self.fields[field].repeated = !self.fields[field].repeated,
                _ => drop(self.fields.remove(field)),
            },
            (Edit::Incompatible, 3) => match choices.below(3) {
                0 => drop(self.values.pop()),
                1 => self.values[1].1 += 100,
                _ => self.values[1].0 = "ANOTHER".to_owned(),
            },
            (Edit::Incompatible, _) => match choices.below(3) {
                0 => drop(self.methods.pop()),
                1 => self.methods[0].1 = !self.methods[0].1,
                _ => self.package = "q".to_owned(),
            },
        }
    }
}

fn severity(old: &str, new: &str) -> Option<Severity> {
    let read = |text: &str| {
        Description::read("x.proto", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    };
    read(old).compare(&read(new), None).expect("compared").severity()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn compatible_edits_never_break_proto(seed: u64) {
        let mut choices = Choices(seed);
        let mut model = Model::random(&mut choices);
        let old = model.text(&mut choices);
        prop_assert_eq!(severity(&old, &model.text(&mut choices)), None);
        for _ in 0..=choices.below(6) {
            model.edit(&mut choices, Edit::Compatible);
        }
        let new = model.text(&mut choices);
        prop_assert!(severity(&old, &new) < Some(Severity::Breaking), "{}\n{}", old, new);
    }

    #[test]
    fn an_incompatible_edit_always_breaks_proto(seed: u64) {
        let mut choices = Choices(seed);
        let mut model = Model::random(&mut choices);
        let old = model.text(&mut choices);
        model.edit(&mut choices, Edit::Incompatible);
        let new = model.text(&mut choices);
        prop_assert_eq!(severity(&old, &new), Some(Severity::Breaking), "{}\n{}", old, new);
    }
}
