//! The map as SVG: callers on the left, those they call to their right.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    content::{File, Site},
    page::{self, badge, empty},
    path::PagePath,
};
use crate::{
    changelog::html::escaped,
    map::{Edge, Map},
};
use meshwise_api::State;

/// Beyond so many services a drawing tells nothing; each has its own on its page.
const MAX_SERVICES: usize = 300;
const HEIGHT: usize = 40;
const ROW: usize = 64;
const GAP: usize = 110;

pub(super) fn page(site: &Site<'_>, map: &Map) -> File {
    let place = PagePath::page(&["_", "map"]);
    let mut body = "<h1>Map</h1>\n<p class=\"lead\">Who needs what from whom: callers stand left of those they call.</p>\n".to_owned();
    body += &key();
    body += &drawn(&place, map, None);
    let text = page::page(site, &place, "Map", &[("map", None)], &body);
    (place, text)
}

fn key() -> String {
    let states = [State::Current, State::Deprecated, State::Planned, State::Retired];
    let badges: Vec<String> = states.into_iter().map(badge).collect();
    format!(
        "<p class=\"key\">{} <span class=\"badge bad\">incompatible</span></p>\n",
        badges.join(" ")
    )
}

/// Draws a map; one service may be the one that the page is about.
pub(super) fn drawn(from: &PagePath, map: &Map, here: Option<&str>) -> String {
    if map.edges.is_empty() {
        return empty("No service has declared that it needs another.");
    }
    if map.services.len() > MAX_SERVICES {
        return empty(&format!(
            "{} services are too many for one drawing; each has its own on its page.",
            map.services.len()
        ));
    }
    let layout = Layout::of(map);
    // On a small screen it shrinks while its names can be read, and scrolls then.
    let mut out = format!(
        "<div class=\"wide\"><svg role=\"img\" aria-label=\"Map of services\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" style=\"min-width:{2}px\">\n",
        layout.width,
        layout.height,
        layout.width * 3 / 5
    );
    let mut drawn: BTreeMap<(&str, &str), Vec<&Edge>> = BTreeMap::new();
    for edge in &map.edges {
        if let Some(provider) = &edge.provider {
            drawn.entry((&edge.caller, provider)).or_default().push(edge);
        }
    }
    for ((caller, provider), edges) in &drawn {
        let (Some(a), Some(b)) = (layout.boxes.get(caller), layout.boxes.get(provider)) else {
            continue;
        };
        let (x1, y1, x2, y2) = (a.x + a.width, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2);
        let bend = if x2 > x1 { (x2 - x1) / 2 } else { GAP };
        // What passes by other columns goes over their heads; a curve reaches 3/4 of its handles.
        let rise = lift(a.column.abs_diff(b.column)) * 4 / 3;
        let (c1, c2) = (y1.saturating_sub(rise), y2.saturating_sub(rise));
        let class = edges.iter().map(|edge| grave(edge)).max().map_or("", |(_, class)| class);
        let labels: Vec<String> = edges.iter().map(|edge| escaped(&edge.label())).collect();
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{x1} {y1}C{} {c1} {} {c2} {x2} {y2}\"><title>{} → {}: {}</title></path>\
             <circle cx=\"{x2}\" cy=\"{y2}\" r=\"3\"/>",
            x1 + bend,
            i64::try_from(x2).unwrap_or_default() - i64::try_from(bend).unwrap_or_default(),
            escaped(caller),
            escaped(provider),
            labels.join(", "),
        );
    }
    for service in &map.services {
        let Some(one) = layout.boxes.get(service.name.as_str()) else { continue };
        let class = if here == Some(service.name.as_str()) { " class=\"here\"" } else { "" };
        let apis = match service.provides.len() {
            0 => "no API".to_owned(),
            1 => "1 API".to_owned(),
            many => format!("{many} APIs"),
        };
        let _ = writeln!(
            out,
            "<a href=\"{}\"><rect{class} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{HEIGHT}\" rx=\"8\"/>\
             <text x=\"{tx}\" y=\"{}\">{}</text><text class=\"small\" x=\"{tx}\" y=\"{}\">{apis}</text></a>",
            from.to(&PagePath::service(&service.name)),
            one.x,
            one.y,
            one.width,
            one.y + 17,
            escaped(&cut(&service.name)),
            one.y + 32,
            tx = one.x + 12,
        );
    }
    out += "</svg></div>\n";
    out
}

/// Ranks an edge, so that the worst of several shows.
fn grave(edge: &Edge) -> (u8, &'static str) {
    match edge.state {
        Some(State::Current) => (0, "current"),
        Some(State::Planned) => (1, "planned"),
        Some(State::Deprecated) => (2, "deprecated"),
        Some(State::Retired) => (3, "retired"),
        None => (4, "bad"),
    }
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(28) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// Tells how high a line over so many columns rises.
fn lift(columns: usize) -> usize {
    if columns < 2 { 0 } else { HEIGHT + 14 * (columns - 1) }
}

struct Spot {
    column: usize,
    x: usize,
    y: usize,
    width: usize,
}

struct Layout<'a> {
    boxes: BTreeMap<&'a str, Spot>,
    width: usize,
    height: usize,
}

impl<'a> Layout<'a> {
    /// Places each service one column right of those that call it, in the order that crosses few lines.
    fn of(map: &'a Map) -> Self {
        let names: Vec<&str> = map.services.iter().map(|service| service.name.as_str()).collect();
        let index: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let edges: Vec<(usize, usize)> = map
            .edges
            .iter()
            .filter_map(|edge| {
                let pair =
                    (*index.get(edge.caller.as_str())?, *index.get(edge.provider.as_deref()?)?);
                (pair.0 != pair.1).then_some(pair)
            })
            .collect();
        let columns = columns(names.len(), &edges);
        let mut rows: Vec<Vec<usize>> =
            vec![Vec::new(); columns.iter().max().map_or(1, |max| max + 1)];
        for (at, column) in columns.iter().enumerate() {
            rows[*column].push(at);
        }
        for _ in 0..4 {
            settle(&mut rows, &edges, names.len());
        }
        let tallest = rows.iter().map(Vec::len).max().unwrap_or(1);
        let over =
            lift(edges.iter().map(|(a, b)| columns[*a].abs_diff(columns[*b])).max().unwrap_or(0));
        let (mut boxes, mut x) = (BTreeMap::new(), 10);
        for (number, column) in rows.iter().enumerate() {
            let width = column
                .iter()
                .map(|at| cut(names[*at]).chars().count() * 8 + 26)
                .max()
                .unwrap_or(60)
                .max(90);
            let top = (tallest - column.len()) * ROW / 2 + 10 + over;
            for (row, at) in column.iter().enumerate() {
                boxes.insert(names[*at], Spot { column: number, x, y: top + row * ROW, width });
            }
            x += width + GAP;
        }
        Self { boxes, width: x - GAP + 10, height: tallest * ROW - (ROW - HEIGHT) + 20 + over }
    }
}

/// Finds the longest way to each service; what closes a circle is left out.
fn columns(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut columns = vec![0; count];
    for _ in 0..count.min(40) {
        let mut moved = false;
        for (from, to) in edges {
            // A circle would push its members on for ever.
            if columns[*to] <= columns[*from] && columns[*from] + 1 < count.min(12) {
                columns[*to] = columns[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    // Columns that circles left empty close up.
    let mut used = columns.clone();
    used.sort_unstable();
    used.dedup();
    columns.iter().map(|column| used.binary_search(column).unwrap_or(0)).collect()
}

/// Moves each service to the middle of those that it is tied to.
fn settle(rows: &mut [Vec<usize>], edges: &[(usize, usize)], count: usize) {
    let mut at = vec![0.0; count];
    for column in rows.iter() {
        for (row, one) in column.iter().enumerate() {
            // An index of a row, which is small.
            #[allow(clippy::cast_precision_loss, reason = "at most 300 rows")]
            let row = row as f64 - (column.len() as f64 / 2.0);
            at[*one] = row;
        }
    }
    let middle = |one: usize| {
        let near: Vec<f64> = edges
            .iter()
            .filter_map(|(a, b)| {
                if *a == one {
                    Some(at[*b])
                } else if *b == one {
                    Some(at[*a])
                } else {
                    None
                }
            })
            .collect();
        #[allow(clippy::cast_precision_loss, reason = "at most 300 services")]
        let middle =
            if near.is_empty() { at[one] } else { near.iter().sum::<f64>() / near.len() as f64 };
        middle
    };
    for column in rows {
        column.sort_by(|a, b| middle(*a).total_cmp(&middle(*b)).then(a.cmp(b)));
    }
}
