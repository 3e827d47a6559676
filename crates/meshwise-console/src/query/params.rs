//! The parameters of a query.

/// A longer query is cut, in bytes; so many parameters are read.
const LENGTH: usize = 4096;
const PARAMS: usize = 64;

/// Holds a query's parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let query = crate::store::cut(query.unwrap_or_default(), LENGTH);
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().take(PARAMS).collect())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}
