//! The table of findings, the policy, the schema and the fixtures agree; declarations as files.

mod findings;
mod fixture;
mod scale;
mod schema;
