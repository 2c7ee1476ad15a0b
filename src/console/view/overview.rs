//! The overview: the backends, the last day hour by hour, and what failed over each backend.

use ratatui::{buffer::Buffer, layout::Position};

use super::Pieces;
use crate::{
    console::{
        clock::age,
        layout::Areas,
        state::{State, scrolled},
        text::{self, compact, counted, fitted, grouped},
        theme::Role,
    },
    store::{BackendRow, BackendState, HOURS, Traffic, Tries},
};

/// A bar, by eighths.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws it. Where the row of the backend under the cursor begins.
pub(super) fn draw(state: &State, areas: &Areas, buffer: &mut Buffer) -> Option<Position> {
    let body = areas.body();
    let lines = lines(state, usize::from(body.width));
    let top = scroll(state, areas, lines.len());
    for (line, row) in lines.iter().skip(top).zip(body.rows()) {
        line.draw(row, buffer);
    }
    let cursor = (1 + state.overview.index(state)).checked_sub(top)?;
    let line = body.rows().nth(cursor)?;
    (!state.backends.is_empty()).then(|| Position::new(line.x + 1, line.y))
}

/// How many lines there are and how many of them are seen.
pub(super) fn extent(state: &State, areas: &Areas) -> (usize, usize) {
    let body = areas.body();
    let lines = lines(state, usize::from(body.width));
    (lines.len(), usize::from(body.height))
}

/// The first line that is seen.
pub(super) fn scroll(state: &State, areas: &Areas, lines: usize) -> usize {
    let height = usize::from(areas.body().height);
    state.overview.top.min(lines.saturating_sub(height))
}

/// The first line to be seen so that the cursor is.
pub(super) fn scroll_to_cursor(state: &State, areas: &Areas) -> usize {
    let height = usize::from(areas.body().height);
    let line = 1 + state.overview.index(state);
    // With the first backend the head comes back, too.
    if line == 1 {
        0
    } else {
        scrolled(state.overview.top, line, height)
    }
}

fn lines(state: &State, width: usize) -> Vec<Pieces> {
    let mut lines = backends(state, width);
    if let Some(row) = state.overview.current(state)
        && row.state != BackendState::Up
    {
        let words = format!("{}: {}", row.name.shown(), row.error.shown());
        for piece in text::wrapped(&words, width.saturating_sub(4).max(1)) {
            let line = Pieces::new(state.setup.theme).with(Role::Warning, format!("   {piece}"));
            lines.push(line);
        }
    }
    lines.push(Pieces::new(state.setup.theme));
    day(state, width, &mut lines);
    failures(state, width, &mut lines);
    lines
}

fn backends(state: &State, width: usize) -> Vec<Pieces> {
    let theme = state.setup.theme;
    let (wide, widest) = (width >= 80, width >= 100);
    let name_width = match width {
        ..80 => 10,
        80..100 => 12,
        _ => 16,
    };
    let mut head = Pieces::new(theme).with(Role::Head, format!("   {:<name_width$}", "Backend"));
    head.push(Role::Head, "  State    ");
    if wide {
        head.push(Role::Head, " Since       ");
    }
    head.push(Role::Head, "   Waiting");
    if wide {
        head.push(Role::Head, "  Oldest due    Sent/min");
    }
    if widest {
        head.push(Role::Head, "     Failed      Error");
    }
    let mut lines = vec![head];
    if state.backends.is_empty() {
        let word = "   No backend had anything to do yet.";
        lines.push(Pieces::new(theme).with(Role::Label, word));
    }
    let cursor = state.overview.index(state);
    for (index, row) in state.backends.iter().enumerate() {
        let here = index == cursor;
        let in_role = |role| if here { Role::Cursor } else { role };
        let bar = if here { "▌" } else { " " };
        let name = row.name.shown().into_string();
        let mut line = Pieces::new(theme).with(
            in_role(Role::Plain),
            format!(" {bar} {}", fitted(&name, name_width, false)),
        );
        line.push(in_role(role(row)), format!("  ● {:<7}", row.state.name()));
        if wide {
            let since = state.setup.zone.short(row.since, state.now);
            line.push(
                in_role(Role::Plain),
                format!(" {}", fitted(&since, 12, false)),
            );
        }
        line.push(
            in_role(Role::Plain),
            format!(" {:>9}", compact_if(row.waiting, wide)),
        );
        if wide {
            let traffic = state.traffic_of(&row.name);
            line.push(in_role(Role::Plain), wide_cells(state, traffic, widest));
        }
        let fill = width.saturating_sub(line.width());
        line.push(in_role(Role::Plain), " ".repeat(fill));
        lines.push(line);
    }
    lines
}

fn compact_if(number: u64, wide: bool) -> String {
    if wide {
        grouped(number)
    } else {
        compact(number)
    }
}

fn wide_cells(state: &State, traffic: Option<&Traffic>, widest: bool) -> String {
    let Some(traffic) = traffic else {
        return String::new();
    };
    let oldest = traffic.oldest_due.filter(|due| *due <= state.now);
    let oldest = oldest.map_or_else(|| "—".to_owned(), |due| age(state.now - due));
    let (oldest, rate) = (fitted(&oldest, 12, false), grouped(traffic.rate));
    let (failed, error) = (grouped(traffic.failed), grouped(traffic.error));
    if widest {
        format!("  {oldest}  {rate:>8} {failed:>10} {error:>10}")
    } else {
        format!("  {oldest}  {rate:>8}")
    }
}

fn role(row: &BackendRow) -> Role {
    match row.state {
        BackendState::Up => Role::Good,
        BackendState::Down => Role::Problem,
        BackendState::Paused => Role::Warning,
    }
}

/// Sent and failed in each hour of the last day, over all backends.
fn day(state: &State, width: usize, lines: &mut Vec<Pieces>) {
    let theme = state.setup.theme;
    let mut hours = [Tries::default(); HOURS];
    for traffic in &state.traffic {
        for (all, one) in hours.iter_mut().zip(&traffic.hours) {
            all.sent += one.sent;
            all.failed += one.failed;
        }
    }
    let title = " The last 24 hours, by the hour";
    lines.push(Pieces::new(theme).with(Role::Title, title));
    let step = if width >= 80 { 2 } else { 1 };
    for (name, role, count) in [
        (
            "sent",
            Role::Good,
            (|one: &Tries| one.sent) as fn(&Tries) -> u64,
        ),
        ("failed", Role::Problem, |one| one.failed),
    ] {
        let counts = hours.each_ref().map(count);
        let most = counts.iter().copied().max().unwrap_or(0);
        let bars: String = counts
            .iter()
            .map(|count| bar(*count, most).repeat(step))
            .collect();
        let all: u64 = counts.iter().sum();
        lines.push(
            Pieces::new(theme)
                .with(Role::Plain, format!("   {name:<7}"))
                .with(role, bars)
                .with(Role::Plain, format!("  {}", compact_if(all, width >= 80)))
                .with(Role::Label, format!(", at most {}", compact(most))),
        );
    }
    let end = state.setup.zone.hour_end(state.now);
    let width = 4 * step;
    let scale: String = (0..HOURS)
        .step_by(4)
        .map(|hour| end - chrono::TimeDelta::hours((HOURS - hour) as i64))
        .map(|from| fitted(&format!("{:02}", state.setup.zone.hour(from)), width, false))
        .collect();
    lines.push(Pieces::new(theme).with(Role::Label, format!("          {scale}")));
    lines.push(Pieces::new(theme));
}

/// As high as the part is; something is never nothing.
fn bar(count: u64, most: u64) -> &'static str {
    match count {
        0 => " ",
        count => BARS[((count * 8).div_ceil(most) as usize - 1).min(7)],
    }
}

/// What failed over each backend, by cause.
fn failures(state: &State, width: usize, lines: &mut Vec<Pieces>) {
    let theme = state.setup.theme;
    lines.push(Pieces::new(theme).with(Role::Title, " What failed, by backend and cause"));
    let before = lines.len();
    for row in &state.backends {
        let causes = state.overview.causes_of(&row.name);
        let traffic = state.traffic_of(&row.name);
        let (failed, error) = traffic.map_or((0, 0), |one| (one.failed, one.error));
        if failed + error == 0 && causes.is_empty() {
            continue;
        }
        lines.push(
            Pieces::new(theme)
                .with(Role::Plain, format!("   {}", row.name.shown()))
                .with(
                    Role::Label,
                    format!(
                        "  {}, {} failed and {} error",
                        counted(failed + error, "receiver"),
                        grouped(failed),
                        grouped(error)
                    ),
                ),
        );
        for cause in causes {
            let count = fitted(&compact_if(cause.count, width >= 80), 9, true);
            lines.push(
                Pieces::new(theme)
                    .with(Role::Plain, format!("   {count}  "))
                    .with(Role::Plain, cause.text.shown().into_string()),
            );
        }
    }
    if lines.len() == before {
        lines.push(Pieces::new(theme).with(Role::Label, "   Nothing."));
    }
}
