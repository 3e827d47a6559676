//! The table of findings, the policy, the schema and the fixtures agree; declarations as files.

mod damage;
mod findings;
mod fixture;
mod properties;
mod scale;
mod schema;
