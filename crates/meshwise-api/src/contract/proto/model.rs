//! What a file promises, by full name within its package.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MessageOptions,
    field_descriptor_proto::{Label, Type},
};

use super::options::{Options, option_value};

/// A file, flat: nested messages are named `Outer.Inner`.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct File {
    pub(super) package: String,
    pub(super) syntax: String,
    pub(super) options: BTreeMap<String, String>,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) enums: BTreeMap<String, Enum>,
    pub(super) services: BTreeMap<String, ProtoService>,
    pub(super) extensions: BTreeMap<(String, i32), Field>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) fields: BTreeMap<i32, Field>,
    pub(super) reserved: Reserved,
    pub(super) extension_ranges: Vec<(i32, i32)>,
    /// The entry of a map: it is compared with the field.
    pub(super) map_entry: bool,
}

/// Numbers (both ends in) and names that may not be taken again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reserved {
    pub(super) ranges: Vec<(i32, i32)>,
    pub(super) names: BTreeSet<String>,
}

impl Reserved {
    pub(super) fn number(&self, number: i32) -> bool {
        self.ranges.iter().any(|(start, end)| (*start..=*end).contains(&number))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Scalar(Type),
    /// A message or enum of this file, by its name within the package.
    Message(String),
    Enum(String),
    /// Declared elsewhere.
    Foreign(String),
    Map(Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Implicit,
    Explicit,
    Required,
    Repeated,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) json_name: String,
    pub(super) number: i32,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    pub(super) packed: bool,
    pub(super) delimited: bool,
    pub(super) default: Option<String>,
    pub(super) oneof: Option<String>,
    pub(super) deprecated: bool,
    pub(super) jstype: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Enum {
    /// In the order of the file; with `allow_alias` a number may come twice.
    pub(super) values: Vec<(String, i32)>,
    pub(super) reserved: Reserved,
    pub(super) closed: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ProtoService {
    pub(super) methods: BTreeMap<String, Method>,
}

#[derive(Clone, Debug)]
pub(super) struct Method {
    pub(super) request: String,
    pub(super) response: String,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
    pub(super) deprecated: bool,
    pub(super) options: BTreeMap<String, String>,
}

/// What differs between syntaxes, settled for a scope (editions call it features).
#[derive(Clone, Copy, Debug)]
struct Features {
    presence: Presence,
    closed_enums: bool,
    packed: bool,
    delimited: bool,
}

impl Features {
    fn of(file: &FileDescriptorProto, edition: Option<&str>) -> Self {
        let proto3 = file.syntax.as_deref() == Some("proto3") && edition.is_none();
        let proto2 = !proto3 && edition.is_none();
        Self {
            presence: if proto3 { Presence::Implicit } else { Presence::Explicit },
            closed_enums: proto2,
            packed: !proto2,
            delimited: false,
        }
    }

    /// Takes over what `features.x = Y` says.
    fn with(mut self, options: &Options<'_>) -> Self {
        match options.identifier("features.field_presence") {
            Some("IMPLICIT") => self.presence = Presence::Implicit,
            Some("EXPLICIT") => self.presence = Presence::Explicit,
            Some("LEGACY_REQUIRED") => self.presence = Presence::Required,
            _ => {}
        }
        match options.identifier("features.enum_type") {
            Some("OPEN") => self.closed_enums = false,
            Some("CLOSED") => self.closed_enums = true,
            _ => {}
        }
        match options.identifier("features.repeated_field_encoding") {
            Some("PACKED") => self.packed = true,
            Some("EXPANDED") => self.packed = false,
            _ => {}
        }
        match options.identifier("features.message_encoding") {
            Some("DELIMITED") => self.delimited = true,
            Some("LENGTH_PREFIXED") => self.delimited = false,
            _ => {}
        }
        self
    }
}

macro_rules! options {
    ($options:expr) => {
        Options($options.as_ref().map_or(&[], |options| &options.uninterpreted_option))
    };
}

struct Builder {
    file: File,
    /// Full names with the package, and whether they are enums.
    declared: BTreeMap<String, bool>,
}

impl File {
    pub(super) fn new(file: &FileDescriptorProto, edition: Option<String>) -> Self {
        let features = Features::of(file, edition.as_deref()).with(&options!(file.options));
        let mut declared = BTreeMap::new();
        let scope = file.package().to_owned();
        for message in &file.message_type {
            declare(&mut declared, &scope, message);
        }
        for one in &file.enum_type {
            declared.insert(join(&scope, one.name()), true);
        }
        let syntax = file.syntax.clone().unwrap_or_else(|| "proto2".to_owned());
        let mut builder = Builder {
            file: Self {
                package: scope,
                syntax: edition.map_or(syntax, |edition| format!("edition {edition}")),
                options: options!(file.options).map(),
                ..Self::default()
            },
            declared,
        };
        for message in &file.message_type {
            builder.message("", message, features);
        }
        for one in &file.enum_type {
            builder.enumeration("", one, features);
        }
        builder.extensions("", &file.extension, features);
        for service in &file.service {
            builder.service(service);
        }
        builder.file
    }
}

fn declare(declared: &mut BTreeMap<String, bool>, scope: &str, message: &DescriptorProto) {
    let name = join(scope, message.name());
    for inner in &message.nested_type {
        declare(declared, &name, inner);
    }
    for one in &message.enum_type {
        declared.insert(join(&name, one.name()), true);
    }
    declared.insert(name, false);
}

pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

impl Builder {
    fn message(&mut self, scope: &str, message: &DescriptorProto, features: Features) {
        let name = join(scope, message.name());
        let options = options!(message.options);
        let features = features.with(&options);
        for inner in &message.nested_type {
            self.message(&name, inner, features);
        }
        for one in &message.enum_type {
            self.enumeration(&name, one, features);
        }
        self.extensions(&name, &message.extension, features);
        let fields = message
            .field
            .iter()
            .map(|field| (field.number(), self.field(&name, field, Some(message), features)))
            .collect();
        let reserved = Reserved {
            // The end of a range is out, for messages.
            ranges: message
                .reserved_range
                .iter()
                .map(|r| (r.start(), r.end().saturating_sub(1)))
                .collect(),
            names: message.reserved_name.iter().cloned().collect(),
        };
        let extension_ranges = message
            .extension_range
            .iter()
            .map(|r| (r.start(), r.end().saturating_sub(1)))
            .collect();
        let map_entry = message.options.as_ref().is_some_and(MessageOptions::map_entry);
        let built = Message { fields, reserved, extension_ranges, map_entry };
        self.file.messages.insert(name, built);
    }

    fn enumeration(&mut self, scope: &str, one: &EnumDescriptorProto, features: Features) {
        let features = features.with(&options!(one.options));
        let built = Enum {
            values: one
                .value
                .iter()
                .map(|value| (value.name().to_owned(), value.number()))
                .collect(),
            reserved: Reserved {
                ranges: one.reserved_range.iter().map(|r| (r.start(), r.end())).collect(),
                names: one.reserved_name.iter().cloned().collect(),
            },
            closed: features.closed_enums,
        };
        self.file.enums.insert(join(scope, one.name()), built);
    }

    fn extensions(&mut self, scope: &str, fields: &[FieldDescriptorProto], features: Features) {
        for field in fields {
            let mut built = self.field(scope, field, None, features);
            // JSON has the whole name of an extension, in brackets.
            let name = join(&self.file.package, &join(scope, field.name()));
            built.json_name = format!("[{name}]");
            let extendee = match self.resolve(scope, field.extendee()) {
                Kind::Message(name) | Kind::Enum(name) | Kind::Foreign(name) => name,
                Kind::Scalar(_) | Kind::Map(..) => continue,
            };
            self.file.extensions.insert((extendee, field.number()), built);
        }
    }

    fn field(
        &self,
        scope: &str,
        field: &FieldDescriptorProto,
        message: Option<&DescriptorProto>,
        features: Features,
    ) -> Field {
        let options = options!(field.options);
        let own = features.with(&options);
        let entry = message.and_then(|message| {
            let own = |entry: &&DescriptorProto| {
                entry.name() == field.type_name()
                    && entry.options.as_ref().is_some_and(MessageOptions::map_entry)
            };
            message.nested_type.iter().find(own)
        });
        let scalar = field.r#type.and_then(|kind| Type::try_from(kind).ok());
        let kind = match (entry.map(|entry| &entry.field[..]), scalar) {
            (Some([key, value]), _) => {
                let kind = |field: &FieldDescriptorProto| self.kind(scope, field);
                Kind::Map(Box::new(kind(key)), Box::new(kind(value)))
            }
            _ => self.kind(scope, field),
        };
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional()).and_then(|at| {
            let at = usize::try_from(at).ok()?;
            message
                .and_then(|message| message.oneof_decl.get(at))
                .map(|oneof| oneof.name().to_owned())
        });
        let message_like = matches!(kind, Kind::Message(_)) || scalar == Some(Type::Group);
        let presence = match field.label() {
            Label::Repeated => Presence::Repeated,
            Label::Required => Presence::Required,
            Label::Optional if oneof.is_some() || field.proto3_optional() || message_like => {
                if own.presence == Presence::Required {
                    Presence::Required
                } else {
                    Presence::Explicit
                }
            }
            Label::Optional => own.presence,
        };
        let packable = !matches!(
            kind,
            Kind::Map(..)
                | Kind::Message(_)
                | Kind::Foreign(_)
                | Kind::Scalar(Type::String | Type::Bytes)
        );
        let packed = match options.identifier("packed") {
            Some(flag) => flag == "true",
            None => own.packed,
        };
        let default =
            field.default_value.clone().or_else(|| options.find("(default)").map(option_value));
        Field {
            name: field.name().to_owned(),
            json_name: field.json_name.clone().unwrap_or_else(|| json_name(field.name())),
            number: field.number(),
            presence,
            packed: packed && packable && presence == Presence::Repeated,
            delimited: scalar == Some(Type::Group) || message_like && own.delimited,
            default,
            oneof,
            deprecated: options.is("deprecated"),
            jstype: options.identifier("jstype").map(ToOwned::to_owned),
            kind,
        }
    }

    fn kind(&self, scope: &str, field: &FieldDescriptorProto) -> Kind {
        match field.r#type.and_then(|kind| Type::try_from(kind).ok()) {
            None | Some(Type::Message | Type::Enum | Type::Group) => {
                self.resolve(scope, field.type_name())
            }
            Some(scalar) => Kind::Scalar(scalar),
        }
    }

    /// Finds a name as the language does: in the innermost scope first, then further out.
    fn resolve(&self, scope: &str, name: &str) -> Kind {
        let package = self.file.package.clone();
        let found = |full: &str| {
            let is_enum = *self.declared.get(full)?;
            let local = match package.is_empty() {
                true => full,
                false => full.strip_prefix(&package)?.strip_prefix('.')?,
            };
            Some(if is_enum {
                Kind::Enum(local.to_owned())
            } else {
                Kind::Message(local.to_owned())
            })
        };
        if let Some(absolute) = name.strip_prefix('.') {
            return found(absolute).unwrap_or_else(|| Kind::Foreign(absolute.to_owned()));
        }
        let mut scope = join(&package, scope);
        if scope.ends_with('.') {
            scope.pop();
        }
        loop {
            if let Some(kind) = found(&join(&scope, name)) {
                return kind;
            }
            if scope.is_empty() {
                return Kind::Foreign(name.to_owned());
            }
            scope.truncate(scope.rfind('.').unwrap_or(0));
        }
    }

    fn service(&mut self, service: &prost_types::ServiceDescriptorProto) {
        let methods = service.method.iter().map(|method| {
            let options = options!(method.options);
            let name = |kind| match kind {
                Kind::Message(name) | Kind::Enum(name) | Kind::Foreign(name) => name,
                Kind::Scalar(_) | Kind::Map(..) => String::new(),
            };
            let mut told = options.map();
            told.remove("deprecated");
            let built = Method {
                request: name(self.resolve("", method.input_type())),
                response: name(self.resolve("", method.output_type())),
                client_streaming: method.client_streaming(),
                server_streaming: method.server_streaming(),
                deprecated: options.is("deprecated"),
                options: told,
            };
            (method.name().to_owned(), built)
        });
        let methods = methods.collect();
        self.file.services.insert(service.name().to_owned(), ProtoService { methods });
    }
}

/// Derives the name that a field has in JSON: lowerCamelCase, as protoc does.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            _ if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            _ => out.push(c),
        }
    }
    out
}
