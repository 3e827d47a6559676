//! The table at the end.

use std::fmt;

/// Says what one contestant takes.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What is done.
    pub what: String,
    /// Who does it.
    pub who: String,
    /// How long one takes; with a sign where it is what comes on top of the bare service.
    pub time: String,
    /// How this compares with ours.
    pub ratio: String,
    /// How often one allocates.
    pub allocations: String,
    /// How many bytes one allocates.
    pub bytes: String,
    /// How many instructions one takes, by callgrind.
    pub instructions: String,
}

impl Row {
    /// Returns all but what is done, for whoever watches.
    pub(crate) fn line(&self) -> String {
        let Self { who, time, ratio, allocations, bytes, instructions, .. } = self;
        [who, time, ratio, allocations, bytes, instructions].map(String::as_str).join(" | ")
    }
}

/// Collects rows, and is printed as one Markdown table.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

const HEAD: [&str; 7] =
    ["what", "who", "time", "beside ours", "allocations", "bytes", "instructions"];

impl Report {
    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn cells(&self) -> Vec<[&str; 7]> {
        let mut cells = vec![HEAD];
        let mut last = "";
        for row in &self.rows {
            let what = if row.what == last { "" } else { &row.what };
            last = &row.what;
            cells.push([
                what,
                &row.who,
                &row.time,
                &row.ratio,
                &row.allocations,
                &row.bytes,
                &row.instructions,
            ]);
        }
        cells
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let width = |i: usize| cells.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        for (number, row) in cells.iter().enumerate() {
            for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
                match i {
                    0 | 1 => write!(f, "| {cell:width$} ")?,
                    _ => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (i, width) in widths.into_iter().enumerate() {
                    let (line, end) = ("-".repeat(width + 1), if i < 2 { '-' } else { ':' });
                    write!(f, "|{line}{end}")?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}
