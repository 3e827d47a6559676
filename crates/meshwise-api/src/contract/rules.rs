//! The table of rules that changes fall under.

use super::change::Severity;

/// What can change between two descriptions, and how grave that is.
///
/// There is one of each kind, in [`Rule::ALL`].
#[derive(Debug)]
pub struct Rule {
    id: &'static str,
    severity: Severity,
    reason: &'static str,
}

impl Rule {
    /// Returns the id: `path-removed`, ...
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Returns how grave such a change is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns what it does to callers, in one sentence.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

/// Declares each rule once: as a constant, and all of them in order as `Rule::ALL`.
macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $reason:literal;)+) => {
        impl Rule {
            $(
                #[doc = concat!("`", $id, "`: ", $reason)]
                pub const $name: &'static Self =
                    &Self { id: $id, severity: Severity::$severity, reason: $reason };
            )+

            /// Every rule, grouped by what it is about.
            pub const ALL: &'static [&'static Self] = &[$(Self::$name),+];
        }
    };
}

// Where tools differ, a caller's view decides: oasdiff warns of a value added to an enum of a response
// and calls added security harmless; buf's WIRE_JSON is the line between breaking and the rest in proto.
rules! {
    // OpenAPI: paths and operations.
    PATH_REMOVED "path-removed" Breaking "A path is gone: calls to it get a 404.";
    OPERATION_REMOVED "operation-removed" Breaking "An operation is gone: calls to it get a 404 or 405.";
    OPERATION_REMOVED_AFTER_SUNSET "operation-removed-after-sunset" Info "A deprecated operation is gone, and the x-sunset that it had announced has passed.";
    OPERATION_DEPRECATED "operation-deprecated" Info "An operation is deprecated; it still serves.";
    OPERATION_ADDED "operation-added" Info "An operation is new: no caller knows it yet.";
    OPERATION_ID_CHANGED "operation-id-changed" Info "Generated clients name their functions by the operationId; what goes over the wire is the same.";
    PATH_PARAMETER_RENAMED "path-parameter-renamed" Info "The name of a path parameter never goes over the wire.";
    WEBHOOK_REMOVED "webhook-removed" Breaking "A webhook is gone: subscribers wait for calls that never come.";
    WEBHOOK_ADDED "webhook-added" Info "A webhook is new: no subscriber knows it yet.";
    CALLBACK_REMOVED "callback-removed" Breaking "A callback is gone: callers wait for calls that never come.";
    CALLBACK_ADDED "callback-added" Info "A callback is new.";
    // OpenAPI: parameters.
    REQUIRED_PARAMETER_ADDED "required-parameter-added" Breaking "Callers of the older document do not send it, and are refused.";
    OPTIONAL_PARAMETER_ADDED "optional-parameter-added" Info "Callers may leave it out.";
    PARAMETER_BECAME_REQUIRED "parameter-became-required" Breaking "Callers that leave it out are refused.";
    PARAMETER_REMOVED "parameter-removed" Warning "What callers still send is ignored, or refused by strict servers.";
    PARAMETER_SERIALIZATION_CHANGED "parameter-serialization-changed" Breaking "The same value is written in another way (style, explode, allowReserved or content).";
    PARAMETER_DEFAULT_CHANGED "parameter-default-changed" Breaking "Callers that leave the parameter out get another answer.";
    PARAMETER_DEFAULT_ADDED "parameter-default-added" Warning "Callers that leave the parameter out may get another answer, if the default was not in force before.";
    // OpenAPI: request bodies.
    REQUIRED_REQUEST_BODY_ADDED "required-request-body-added" Breaking "Callers of the older document send no body, and are refused.";
    OPTIONAL_REQUEST_BODY_ADDED "optional-request-body-added" Info "Callers may send none.";
    REQUEST_BODY_REMOVED "request-body-removed" Breaking "The body that callers send is no longer taken.";
    REQUEST_BODY_BECAME_REQUIRED "request-body-became-required" Breaking "Callers that send no body are refused.";
    REQUEST_MEDIA_TYPE_REMOVED "request-media-type-removed" Breaking "Callers that send this media type get a 415.";
    REQUEST_MEDIA_TYPE_ADDED "request-media-type-added" Info "No caller must use it.";
    REQUEST_ENCODING_CHANGED "request-encoding-changed" Warning "Parts of the body are encoded in another way.";
    // OpenAPI: responses.
    RESPONSE_REMOVED "response-removed" Breaking "Callers wait for a success that is no longer promised.";
    ERROR_RESPONSE_REMOVED "error-response-removed" Info "An error that is no longer promised hurts no caller.";
    RESPONSE_ADDED "response-added" Info "Callers must handle statuses that they do not know (RFC 9110 section 15).";
    RESPONSE_MEDIA_TYPE_REMOVED "response-media-type-removed" Breaking "Callers that accept this media type get a 406, or one that they do not read.";
    RESPONSE_MEDIA_TYPE_ADDED "response-media-type-added" Info "Callers get it only if they accept it.";
    REQUIRED_RESPONSE_HEADER_REMOVED "required-response-header-removed" Breaking "Callers rely on a header that is gone.";
    OPTIONAL_RESPONSE_HEADER_REMOVED "optional-response-header-removed" Warning "A header that callers may have used is gone.";
    RESPONSE_HEADER_BECAME_OPTIONAL "response-header-became-optional" Breaking "Callers rely on a header that may be missing now.";
    RESPONSE_HEADER_ADDED "response-header-added" Info "Callers ignore headers that they do not know.";
    // OpenAPI: schemas of what callers send.
    REQUEST_TYPE_NARROWED "request-type-narrowed" Breaking "Values of a type that was taken are refused.";
    REQUEST_BECAME_NOT_NULLABLE "request-became-not-nullable" Breaking "Callers that send null are refused.";
    REQUEST_ENUM_VALUE_REMOVED "request-enum-value-removed" Breaking "Callers that send the value are refused.";
    REQUEST_BECAME_ENUM "request-became-enum" Breaking "Callers that send anything but the listed values are refused.";
    REQUEST_FORMAT_NARROWED "request-format-narrowed" Breaking "Values that the older format allowed are refused.";
    REQUEST_BOUND_NARROWED "request-bound-narrowed" Breaking "Values beyond the newer bound are refused.";
    REQUEST_CONSTRAINT_ADDED "request-constraint-added" Breaking "Values that do not meet the new constraint are refused.";
    REQUEST_CONSTRAINT_CHANGED "request-constraint-changed" Warning "Whether the newer constraint takes all that the older did cannot be told.";
    REQUEST_VARIANT_REMOVED "request-variant-removed" Breaking "Values of this variant are refused.";
    REQUIRED_REQUEST_PROPERTY_ADDED "required-request-property-added" Breaking "Callers of the older document do not send it, and are refused.";
    REQUEST_PROPERTY_BECAME_REQUIRED "request-property-became-required" Breaking "Callers that leave it out are refused.";
    REQUEST_PROPERTY_REFUSED "request-property-refused" Breaking "The property is gone and the object takes no others: callers that send it are refused.";
    REQUEST_PROPERTY_REMOVED "request-property-removed" Warning "What callers still send is ignored, or refused by strict servers.";
    OPTIONAL_REQUEST_PROPERTY_ADDED "optional-request-property-added" Info "Callers may leave it out.";
    REQUEST_ADDITIONAL_PROPERTIES_FORBIDDEN "request-additional-properties-forbidden" Breaking "Callers that send properties besides the listed ones are refused.";
    REQUEST_DISCRIMINATOR_CHANGED "request-discriminator-changed" Breaking "Callers name the variant in another property, or by another value.";
    PROPERTY_DEFAULT_CHANGED "property-default-changed" Warning "What a missing property means may have changed.";
    // OpenAPI: schemas of what callers receive.
    RESPONSE_TYPE_WIDENED "response-type-widened" Breaking "Callers get values of a type that they were not told of.";
    RESPONSE_BECAME_NULLABLE "response-became-nullable" Breaking "Callers get null where they were promised a value.";
    RESPONSE_ENUM_VALUE_ADDED "response-enum-value-added" Warning "Callers may get a value that they do not know; those that match exhaustively fail.";
    RESPONSE_ENUM_REMOVED "response-enum-removed" Warning "Callers may get values besides those that were listed.";
    RESPONSE_FORMAT_WIDENED "response-format-widened" Breaking "Callers get values that the older format did not allow.";
    RESPONSE_BOUND_WIDENED "response-bound-widened" Breaking "Callers get values beyond the bound that was promised.";
    RESPONSE_CONSTRAINT_REMOVED "response-constraint-removed" Breaking "Callers get values that do not meet what was promised.";
    RESPONSE_CONSTRAINT_CHANGED "response-constraint-changed" Warning "Whether the newer constraint keeps what the older promised cannot be told.";
    RESPONSE_VARIANT_ADDED "response-variant-added" Breaking "Callers get a variant that they do not know.";
    RESPONSE_PROPERTY_REMOVED "response-property-removed" Breaking "Callers rely on a property that was promised and is gone.";
    OPTIONAL_RESPONSE_PROPERTY_REMOVED "optional-response-property-removed" Warning "A property that callers may have used is gone.";
    RESPONSE_PROPERTY_BECAME_OPTIONAL "response-property-became-optional" Breaking "Callers rely on a property that may be missing now.";
    RESPONSE_PROPERTY_ADDED "response-property-added" Info "Callers ignore properties that they do not know.";
    RESPONSE_PROPERTY_ADDED_TO_CLOSED "response-property-added-to-closed" Warning "The older document promised no further properties; callers that validate strictly refuse it.";
    RESPONSE_ADDITIONAL_PROPERTIES_ALLOWED "response-additional-properties-allowed" Warning "The older document promised no further properties; callers that validate strictly refuse them.";
    RESPONSE_ADDITIONAL_PROPERTIES_WIDENED "response-additional-properties-widened" Breaking "Callers get members of a type that they were not told of.";
    RESPONSE_DISCRIMINATOR_CHANGED "response-discriminator-changed" Breaking "Callers find the variant's name in another property, or another name.";
    // OpenAPI: security and servers.
    SECURITY_ADDED "security-added" Breaking "Callers without credentials are refused.";
    SECURITY_CHANGED "security-changed" Breaking "A way to authenticate that was taken is refused.";
    SECURITY_SCOPE_ADDED "security-scope-added" Breaking "Credentials with the scopes that sufficed are refused.";
    SERVER_REMOVED "server-removed" Warning "Callers that were given this address may not reach the API.";
    SERVER_PATH_REMOVED "server-path-removed" Breaking "No server answers under the base path that callers use.";
    REFERENCE_NOT_FOLLOWED "reference-not-followed" Warning "What lies in another document, or nowhere, was not compared.";
    // proto: files and messages.
    PROTO_PACKAGE_CHANGED "proto-package-changed" Breaking "The package is part of every gRPC path and type URL.";
    PROTO_SYNTAX_CHANGED "proto-syntax-changed" Info "What differs between syntaxes (presence, packing, open enums) is compared by itself.";
    PROTO_FILE_OPTION_CHANGED "proto-file-option-changed" Info "Generated code moves; what goes over the wire is the same.";
    PROTO_MESSAGE_REMOVED "proto-message-removed" Warning "Code that uses the message does not compile; fields of its type are judged by themselves.";
    PROTO_ENUM_REMOVED "proto-enum-removed" Warning "Code that uses the enum does not compile; fields of its type are judged by themselves.";
    PROTO_MESSAGE_ADDED "proto-message-added" Info "No caller knows it yet.";
    PROTO_RESERVED_REMOVED "proto-reserved-removed" Warning "A number or name that old data may hold can be taken again.";
    PROTO_RESERVED_TAKEN "proto-reserved-taken" Breaking "What was reserved is used again: old data comes back under a new meaning.";
    PROTO_EXTENSION_RANGE_REMOVED "proto-extension-range-removed" Warning "Extensions that others declared have no place any more.";
    PROTO_EXTENSION_REMOVED "proto-extension-removed" Warning "An extension that callers may have used is gone.";
    // proto: fields.
    PROTO_FIELD_REMOVED_NOT_RESERVED "proto-field-removed-not-reserved" Breaking "A field is gone and its number is free: the next to take it gets old data under a new meaning.";
    PROTO_FIELD_NAME_NOT_RESERVED "proto-field-name-not-reserved" Breaking "A field is gone and its name is free: the next to take it gets old JSON under a new meaning.";
    PROTO_FIELD_REMOVED "proto-field-removed" Warning "A field is gone with its number and name reserved: callers get the default, and their code does not compile.";
    PROTO_REQUIRED_FIELD_REMOVED "proto-required-field-removed" Breaking "Readers of the older file refuse a message without its required field.";
    PROTO_REQUIRED_FIELD_ADDED "proto-required-field-added" Breaking "Messages of older callers lack the field and are refused.";
    PROTO_FIELD_ADDED "proto-field-added" Info "Readers skip fields that they do not know.";
    PROTO_FIELD_NUMBER_CHANGED "proto-field-number-changed" Breaking "The number is the field's name on the wire: old data is not found, or read as another field.";
    PROTO_FIELD_NUMBER_REUSED "proto-field-number-reused" Breaking "The number now means another field of another type: old data is misread.";
    PROTO_FIELD_JSON_NAME_CHANGED "proto-field-json-name-changed" Breaking "JSON with the older name is not read, and callers do not find theirs.";
    PROTO_FIELD_RENAMED "proto-field-renamed" Breaking "Field masks, and JSON that is written with the file's own names, name the field otherwise.";
    PROTO_FIELD_TYPE_CHANGED "proto-field-type-changed" Breaking "The two types are written in different ways: old data is misread or refused.";
    PROTO_FIELD_TYPE_WIRE_COMPATIBLE "proto-field-type-wire-compatible" Breaking "The two types share the binary form (values beyond the smaller are cut), not the JSON form.";
    PROTO_FIELD_TYPE_COMPATIBLE "proto-field-type-compatible" Warning "The two types share binary and JSON forms; values beyond the range of one are misread.";
    PROTO_FIELD_CARDINALITY_CHANGED "proto-field-cardinality-changed" Breaking "One value and a list (or a map) are read differently, in binary or in JSON.";
    PROTO_FIELD_PRESENCE_CHANGED "proto-field-presence-changed" Warning "A value that is the default is no longer told from a missing one, or now is.";
    PROTO_FIELD_REQUIRED_CHANGED "proto-field-required-changed" Breaking "A required field that may be missing, or the other way round, is refused by one of the two sides.";
    PROTO_FIELD_PACKED_CHANGED "proto-field-packed-changed" Info "Parsers must read both forms.";
    PROTO_FIELD_ENCODING_CHANGED "proto-field-encoding-changed" Breaking "Delimited and length-prefixed messages have different wire types.";
    PROTO_FIELD_DEFAULT_CHANGED "proto-field-default-changed" Breaking "The two sides read another value from a message without the field.";
    PROTO_FIELD_JSTYPE_CHANGED "proto-field-jstype-changed" Info "Generated JavaScript has another type; what goes over the wire is the same.";
    PROTO_FIELD_DEPRECATED "proto-field-deprecated" Info "A field is deprecated; it still serves.";
    PROTO_FIELD_MOVED_INTO_ONEOF "proto-field-moved-into-oneof" Breaking "Setting one of several fields that could be set together now clears the others.";
    PROTO_FIELD_MOVED_OUT_OF_ONEOF "proto-field-moved-out-of-oneof" Breaking "Fields of which one was set at most may now come together, and old readers keep only the last.";
    PROTO_FIELD_JOINED_NEW_ONEOF "proto-field-joined-new-oneof" Warning "A single field in a new oneof is the same on the wire; generated code differs.";
    // proto: enums.
    PROTO_ENUM_VALUE_REMOVED_NOT_RESERVED "proto-enum-value-removed-not-reserved" Breaking "A value is gone and its number is free: the next to take it changes what old data means.";
    PROTO_ENUM_VALUE_NAME_NOT_RESERVED "proto-enum-value-name-not-reserved" Breaking "A value is gone and its name is free: the next to take it changes what old JSON means.";
    PROTO_ENUM_VALUE_REMOVED "proto-enum-value-removed" Warning "A value is gone with its number and name reserved: code that uses it does not compile.";
    PROTO_ENUM_VALUE_RENAMED "proto-enum-value-renamed" Breaking "JSON writes the name: the older one is not read any more.";
    PROTO_ENUM_VALUE_RENUMBERED "proto-enum-value-renumbered" Breaking "The same name has another number: old data means something else.";
    PROTO_ENUM_VALUE_ADDED "proto-enum-value-added" Info "Readers keep the number of a value that they do not know.";
    PROTO_CLOSED_ENUM_VALUE_ADDED "proto-closed-enum-value-added" Warning "Readers of a closed enum put a value that they do not know among the unknown fields, and read the default.";
    PROTO_ENUM_FIRST_VALUE_CHANGED "proto-enum-first-value-changed" Breaking "The first value is what a missing field means.";
    PROTO_ENUM_OPENNESS_CHANGED "proto-enum-openness-changed" Warning "Values that are not known are kept by one side and set aside by the other.";
    // proto: services.
    PROTO_SERVICE_REMOVED "proto-service-removed" Breaking "Calls to it get UNIMPLEMENTED.";
    PROTO_SERVICE_ADDED "proto-service-added" Info "No caller knows it yet.";
    PROTO_METHOD_REMOVED "proto-method-removed" Breaking "Calls to it get UNIMPLEMENTED.";
    PROTO_METHOD_ADDED "proto-method-added" Info "No caller knows it yet.";
    PROTO_REQUEST_TYPE_CHANGED "proto-request-type-changed" Breaking "Callers send another message than the one that is read.";
    PROTO_RESPONSE_TYPE_CHANGED "proto-response-type-changed" Breaking "Callers read another message than the one that is sent.";
    PROTO_CLIENT_STREAMING_CHANGED "proto-client-streaming-changed" Breaking "One request and a stream of them are different calls.";
    PROTO_SERVER_STREAMING_CHANGED "proto-server-streaming-changed" Breaking "One response and a stream of them are different calls.";
    PROTO_METHOD_IDEMPOTENCY_WEAKENED "proto-method-idempotency-weakened" Breaking "Callers retry the method, or call it by GET, because it was said to be safe.";
    PROTO_METHOD_MAPPING_CHANGED "proto-method-mapping-changed" Breaking "Callers over HTTP call a path that is gone, or send another body.";
    PROTO_METHOD_OPTION_CHANGED "proto-method-option-changed" Warning "An option that proxies and clients may go by is another.";
    PROTO_METHOD_DEPRECATED "proto-method-deprecated" Info "A method is deprecated; it still serves.";
}
