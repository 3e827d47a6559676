//! The newest log records that match.

use super::{
    filter::{Filter, Preparer},
    span::{self, LogPart},
};
use crate::store::Store;
use serde::Serialize;

/// So many records are looked at for one answer.
const LOOKED_AT: usize = 400_000;

/// Is a list of log records, the newest last.
#[derive(Debug, Serialize)]
pub(crate) struct LogList<'a> {
    records: Vec<LogPart<'a>>,
    /// The newest record's number: what comes next has a higher one.
    newest: u64,
    all: usize,
    complete: bool,
    /// Words of the search that say nothing of log records.
    odd: Vec<String>,
}

/// Lists the newest records that match; `after` leaves out those up to that number.
pub(crate) fn list<'a>(store: &'a Store, filter: &Filter, after: u64, limit: usize) -> LogList<'a> {
    let mut preparer = Preparer::default();
    // From each service its newest, then the newest of all.
    let mut found = Vec::new();
    let (mut looked_at, mut complete) = (0, true);
    for (place, service) in store.services.iter() {
        if filter.service.as_ref().is_some_and(|wanted| *wanted != *service.name) {
            continue;
        }
        let mut of_service = 0;
        'segments: for (number, segment) in service.logs.newest() {
            let prepared = preparer.get(filter, place, number, segment);
            for row in segment.rows.iter().rev() {
                if row.sequence <= after {
                    break 'segments;
                }
                if of_service >= limit || looked_at >= LOOKED_AT {
                    complete = false;
                    break 'segments;
                }
                looked_at += 1;
                if filter.log(&service.name, segment, row, prepared) {
                    of_service += 1;
                    found.push((row.sequence, &*service.name, segment, row));
                }
            }
        }
    }
    found.sort_by_key(|(sequence, ..)| *sequence);
    let from = found.len().saturating_sub(limit);
    complete &= from == 0;
    let records = found[from..]
        .iter()
        .map(|(_, service, segment, row)| span::log(service, segment, row))
        .collect();
    let all = store.services.iter().map(|(_, service)| service.logs.rows()).sum();
    LogList { records, newest: store.sequence(), all, complete, odd: filter.odd_of_logs() }
}
