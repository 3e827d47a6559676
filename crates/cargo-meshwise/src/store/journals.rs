//! Which journals there are: by listing, and on the web by `journals.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Sequence, Store, StoreBackend, StoreError};
use crate::journal::Name;

/// The file that names the journals, for those who read over HTTP: a cache that is rebuilt at will.
pub(crate) const FILE: &str = "journals.json";

/// How many facts of one journal are believed; a server must not make its readers ask without end.
const MAX_SEQ: u64 = 100_000;

#[derive(Serialize, Deserialize)]
struct Journals {
    schema: u32,
    /// The number of the newest fact, by the journal's name.
    journals: BTreeMap<String, u64>,
}

impl Store {
    /// Lists the journals under a folder of the dictionary, such as `journal/environments/prod`.
    ///
    /// # Errors
    /// [`StoreError`] when the dictionary is out of reach.
    pub(crate) fn list_journals(
        &self,
        under: &str,
    ) -> Result<BTreeMap<Name, Sequence>, StoreError> {
        let mut seqs: BTreeMap<Name, Vec<u64>> = BTreeMap::new();
        match &self.backend {
            StoreBackend::Objects(objects) => {
                for path in self.runtime.block_on(objects.list_paths(under))? {
                    if let Some((name, seq)) = Name::parse(&path) {
                        seqs.entry(name).or_default().push(seq);
                    }
                }
            }
            #[cfg(feature = "http")]
            StoreBackend::Web(_) => return self.listed_journals(under),
        }
        let sequences = seqs.into_iter().map(|(name, seqs)| (name, Sequence::of(seqs)));
        let sequences: BTreeMap<Name, Sequence> = sequences.collect();
        for (name, sequence) in &sequences {
            if let Some(gap) = sequence.gap {
                return Err(StoreError::missing(
                    &self.location().join(&format!("{name}/{gap}.json")),
                ));
            }
        }
        Ok(sequences)
    }

    #[cfg(feature = "http")]
    fn listed_journals(&self, under: &str) -> Result<BTreeMap<Name, Sequence>, StoreError> {
        let place = self.location().join(FILE);
        let Some(bytes) = self.read_file(FILE)? else {
            return Err(StoreError::Damaged(format!(
                "{place} is not there; run `cargo meshwise index` on the folder that is served"
            )));
        };
        let journals: Journals = serde_json::from_slice(&bytes).map_err(|error| {
            StoreError::Damaged(format!("{place} is no list of journals ({error})"))
        })?;
        if journals.schema != 1 {
            return Err(StoreError::Newer(place, format!("schema {}", journals.schema)));
        }
        let mut found = BTreeMap::new();
        for (text, head) in journals.journals {
            let below = text
                .strip_prefix(under)
                .is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'/', ..]));
            if !below {
                continue;
            }
            match Name::parse(&format!("{text}/{head}.json")) {
                Some((name, head)) if (1..=MAX_SEQ).contains(&head) => {
                    found.insert(name, Sequence { head, gap: None, digest: None });
                }
                _ => {
                    return Err(StoreError::Damaged(format!("{place}: {text:?} is no journal")));
                }
            }
        }
        Ok(found)
    }

    /// Writes `journals.json` anew.
    ///
    /// # Errors
    /// [`StoreError`] when the journals cannot be listed, or the file cannot be written.
    pub(crate) fn write_journals(&self) -> Result<(), StoreError> {
        let listed = self.list_journals("journal")?;
        let journals = listed.iter().map(|(name, sequence)| (name.to_string(), sequence.head));
        let journals = Journals { schema: 1, journals: journals.collect() };
        // Plain fields always serialize.
        let text = serde_json::to_string(&journals).unwrap_or_default();
        self.write_file(FILE, text.into())
    }
}
