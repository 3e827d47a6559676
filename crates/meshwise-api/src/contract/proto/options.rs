//! Options, which the parser does not interpret.

use std::collections::BTreeMap;

use prost_types::UninterpretedOption;

/// How a method is called over HTTP.
pub(super) const HTTP: &str = "(google.api.http)";
/// Its field that names further ways.
pub(super) const BINDINGS: &str = "additional_bindings";

/// Options as they were written; the parser does not interpret them.
pub(super) struct Options<'a>(pub(super) &'a [UninterpretedOption]);

impl<'a> Options<'a> {
    pub(super) fn find(&self, name: &str) -> Option<&'a UninterpretedOption> {
        self.0.iter().find(|option| option_name(option) == name)
    }

    pub(super) fn identifier(&self, name: &str) -> Option<&'a str> {
        self.find(name)?.identifier_value.as_deref()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.identifier(name) == Some("true")
    }

    /// All of them by name; a mapping to HTTP is one, however it is written.
    pub(super) fn map(&self) -> BTreeMap<String, String> {
        let (mut map, mut mapping) = (BTreeMap::new(), Vec::new());
        for option in self.0 {
            let name = option_name(option);
            match name.strip_prefix(HTTP).and_then(|rest| rest.strip_prefix('.')) {
                Some(field) => mapping.push((field.to_owned(), field_text(option))),
                None => drop(map.insert(name, option_value(option))),
            }
        }
        if !mapping.is_empty() {
            // One field an option says what all in one message do. Their order means nothing, but that of
            // the further ways.
            mapping.sort_by_key(|(field, _)| (field == BINDINGS, field.clone()));
            let fields = mapping.into_iter().map(|(field, text)| format!("{field} {text}"));
            let whole = map.remove(HTTP).filter(|whole| !whole.is_empty());
            let texts: Vec<String> = whole.into_iter().chain(fields).collect();
            map.insert(HTTP.to_owned(), texts.join(" "));
        }
        map
    }
}

fn option_name(option: &UninterpretedOption) -> String {
    let part = |part: &prost_types::uninterpreted_option::NamePart| {
        if part.is_extension {
            format!("({})", part.name_part.trim_start_matches('.'))
        } else {
            part.name_part.clone()
        }
    };
    option.name.iter().map(part).collect::<Vec<_>>().join(".")
}

pub(super) fn option_value(option: &UninterpretedOption) -> String {
    let texts = [
        option.identifier_value.clone(),
        option.positive_int_value.map(|value| value.to_string()),
        option.negative_int_value.map(|value| value.to_string()),
        option.double_value.map(|value| value.to_string()),
        option.string_value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        option.aggregate_value.clone(),
    ];
    texts.into_iter().flatten().collect()
}

/// Spells the value of an option that is a field as the parser does within a message.
fn field_text(option: &UninterpretedOption) -> String {
    match (&option.string_value, &option.aggregate_value) {
        (Some(text), _) => format!(": \"{}\"", text.escape_ascii()),
        (None, Some(message)) => format!("{{ {message} }}"),
        (None, None) => format!(": {}", option_value(option)),
    }
}
