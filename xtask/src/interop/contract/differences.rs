//! Where `buf`'s `WIRE_JSON` and our comparison judge otherwise, and the reason of each.

/// Who calls a change breaking that the other does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stricter {
    Ours,
    Theirs,
}

/// A vector that is judged otherwise.
pub(super) struct Difference {
    pub(super) vector: &'static str,
    pub(super) stricter: Stricter,
    pub(super) reason: &'static str,
}

const fn ours(vector: &'static str, reason: &'static str) -> Difference {
    Difference { vector, stricter: Stricter::Ours, reason }
}

const fn theirs(vector: &'static str, reason: &'static str) -> Difference {
    Difference { vector, stricter: Stricter::Theirs, reason }
}

const RESERVATION: &str = "no caller notices until the number or name is taken, which is breaking by itself, also \
     against the versions before";
const UNIMPLEMENTED: &str =
    "its category holds what is on the wire of messages; callers get UNIMPLEMENTED all the same";

const MAPPING: &str =
    "it does not read custom options; callers over HTTP get a 404, or their body is not read";

pub(super) const DIFFERENCES: [Difference; 23] = [
    ours("a method is gone", UNIMPLEMENTED),
    ours("a service is gone", UNIMPLEMENTED),
    ours("a service has another name", UNIMPLEMENTED),
    ours("a method is mapped to another path", MAPPING),
    ours("a method is mapped to another path by a field", MAPPING),
    ours("a method is mapped to a further path and takes a body", MAPPING),
    ours("a method takes a body", MAPPING),
    ours("a method takes a body by a field", MAPPING),
    ours("a mapping is gone", MAPPING),
    ours("a further path is another", MAPPING),
    ours("a further path is gone", MAPPING),
    ours("a further path by a field is gone", MAPPING),
    ours("a long path changes at its end", MAPPING),
    ours(
        "the first value is another",
        "the first value of a closed enum is what a missing field means",
    ),
    theirs("a number is no longer reserved", RESERVATION),
    theirs("a name is no longer reserved", RESERVATION),
    theirs("an enum's number is no longer reserved", RESERVATION),
    theirs(
        "an enum to one that has all its values",
        "each value that callers know has the same name and number in the other",
    ),
    theirs("a field joined a new oneof", "one field in a new oneof is written as before"),
    theirs(
        "an optional field became the only one of a oneof",
        "one field in a new oneof is written as before",
    ),
    theirs("the name of a oneof is in no format", "only generated code has the name of a oneof"),
    theirs(
        "a method is free of effects now",
        "callers that rely on less get more: IDEMPOTENT is promised by NO_SIDE_EFFECTS",
    ),
    theirs(
        "proto2 became edition 2023 that says the same",
        "it takes `required` from the label alone, and not from features.field_presence",
    ),
];
