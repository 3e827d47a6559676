//! The tree as a JSON Schema (draft 2020-12), for editors and for those who check files.

use super::{
    kind::{Range, SettingKind},
    part::{Field, PartShape, Spec, Variable},
    path::Path,
    tree::Settings,
    units::{DURATION_PATTERN, SIZE_PATTERN},
    value::{Value, quote},
};
use std::fmt::{self, Write};

impl Settings {
    /// Returns the JSON Schema of a settings file. Ranges of durations and sizes are beyond it: reading
    /// a file checks them.
    #[doc(hidden)]
    #[must_use]
    pub fn json_schema() -> String {
        let mut out = Out { text: String::new(), depth: 0 };
        // A string takes whatever is written to it.
        let _ = out.root();
        out.text
    }
}

struct Out {
    text: String,
    depth: usize,
}

impl Out {
    fn root(&mut self) -> fmt::Result {
        self.open("{")?;
        self.text("$schema", "https://json-schema.org/draft/2020-12/schema")?;
        self.text("title", "Settings of a service that meshwise is linked into")?;
        if let PartShape::Section(fields) = Settings::described() {
            self.section(&fields, &mut Path::new(), true)?;
        }
        self.close("}")?;
        self.text.push('\n');
        Ok(())
    }

    fn section(&mut self, fields: &[Field], path: &mut Path, defaults: bool) -> fmt::Result {
        self.text("type", "object")?;
        self.raw("additionalProperties", "false")?;
        self.key("properties")?;
        self.open("{")?;
        for field in fields {
            path.push(field.name);
            self.key(field.name)?;
            self.open("{")?;
            self.text("description", &field.doc)?;
            self.shape(&field.shape, path, defaults)?;
            self.close("}")?;
            path.pop();
        }
        self.close("}")
    }

    fn shape(&mut self, shape: &PartShape, path: &mut Path, defaults: bool) -> fmt::Result {
        match shape {
            PartShape::Leaf(spec) => {
                self.leaf(spec)?;
                if let Some(value) = spec.default_value().filter(|_| defaults) {
                    self.key("default")?;
                    value.write_json(&mut self.text)?;
                }
                self.variables(spec, path)
            }
            PartShape::Section(fields) => self.section(fields, path, defaults),
            PartShape::Map(of) => {
                self.text("type", "object")?;
                self.key("propertyNames")?;
                self.open("{")?;
                self.text("pattern", "\\S")?;
                self.raw("maxLength", "1024")?;
                self.close("}")?;
                self.key("additionalProperties")?;
                self.open("{")?;
                path.push("*");
                match &**of {
                    PartShape::Leaf(spec) => self.leaf(spec)?,
                    // What is not set there is as above.
                    of => self.shape(of, path, false)?,
                }
                path.pop();
                self.close("}")?;
                match &**of {
                    PartShape::Leaf(spec) => self.variables(spec, path),
                    _ => Ok(()),
                }
            }
        }
    }

    fn variables(&mut self, spec: &Spec, path: &Path) -> fmt::Result {
        let own = path.variable().replace("MESHWISE_PEERS___", "MESHWISE_PEERS_{PEER}_");
        let names = match spec.variable {
            Variable::Own if path.names().iter().any(|name| name == "routes") => return Ok(()),
            Variable::Own => own,
            // Those are the same for all peers, and none is.
            Variable::Standard(names, _) => names.join(", "),
        };
        self.text("x-variable", &names)
    }

    fn leaf(&mut self, spec: &Spec) -> fmt::Result {
        match spec.kind {
            SettingKind::Bool => self.text("type", "boolean"),
            SettingKind::Whole(least, most) => {
                self.text("type", "integer")?;
                self.raw("minimum", &least.to_string())?;
                self.raw("maximum", &most.to_string())
            }
            SettingKind::Number(range) => self.number(&range),
            SettingKind::Duration(..) => {
                self.text("type", "string")?;
                self.text("pattern", DURATION_PATTERN)
            }
            SettingKind::Size(..) => {
                self.text("type", "string")?;
                self.text("pattern", SIZE_PATTERN)
            }
            SettingKind::Word(words) => {
                self.key("enum")?;
                let words = words.iter().map(|word| Value::Text((*word).to_owned()));
                Value::List(words.collect()).write_json(&mut self.text)
            }
            SettingKind::Text(form) => {
                self.text("type", "string")?;
                self.raw("maxLength", "16384")?;
                self.text("pattern", form.pattern)
            }
            SettingKind::List(kind) => {
                self.text("type", "array")?;
                self.raw("maxItems", "1000")?;
                self.raw("uniqueItems", "true")?;
                self.key("items")?;
                self.open("{")?;
                self.leaf(&Spec { kind: *kind, ..*spec })?;
                self.close("}")
            }
            SettingKind::Ascending => {
                self.text("type", "array")?;
                self.raw("minItems", "1")?;
                self.raw("maxItems", "200")?;
                self.raw("uniqueItems", "true")?;
                self.raw("items", "{\"type\": \"number\"}")
            }
        }
    }

    fn number(&mut self, range: &Range) -> fmt::Result {
        self.text("type", "number")?;
        let least = if range.least_in { "minimum" } else { "exclusiveMinimum" };
        self.raw(least, &range.least.to_string())?;
        let most = if range.most_in { "maximum" } else { "exclusiveMaximum" };
        self.raw(most, &range.most.to_string())
    }

    fn key(&mut self, key: &str) -> fmt::Result {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        write!(self.text, "\n{:width$}", "", width = 2 * self.depth)?;
        quote(&mut self.text, key)?;
        self.text.write_str(": ")
    }

    fn text(&mut self, key: &str, value: &str) -> fmt::Result {
        self.key(key)?;
        quote(&mut self.text, value)
    }

    fn raw(&mut self, key: &str, value: &str) -> fmt::Result {
        self.key(key)?;
        self.text.write_str(value)
    }

    fn open(&mut self, bracket: &str) -> fmt::Result {
        self.depth += 1;
        self.text.write_str(bracket)
    }

    fn close(&mut self, bracket: &str) -> fmt::Result {
        self.depth -= 1;
        write!(self.text, "\n{:width$}{bracket}", "", width = 2 * self.depth)
    }
}
