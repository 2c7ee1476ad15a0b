use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::{
    Exit,
    context::Globals,
    output::{json_line, local, utc},
    table::{Cell, Format, Look, Table, limit, room},
};
use crate::{message::DisplayText, store::AuditEntry};

/// Lines a look into the store brings.
const WINDOW: usize = 500;

/// Show what operators did: who, when, what, to how many; newest first
#[derive(clap::Args)]
#[command(
    after_help = "`show` has what was done to one receiver alone.\n\nExamples:\n  postroom audit\n  postroom audit --limit 0 --format json"
)]
pub(super) struct Args {
    /// How many lines at most; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = limit)]
    limit: usize,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

/// One line of the audit log in one JSON object.
#[derive(Serialize)]
pub(super) struct AuditJson<'a> {
    id: i64,
    at: String,
    who: &'a str,
    action: &'a str,
    target: &'a str,
    count: u64,
    receiver_id: Option<i64>,
}

impl<'a> From<&'a AuditEntry> for AuditJson<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: utc(entry.at),
            who: entry.who.raw(),
            action: entry.action.raw(),
            target: entry.target.raw(),
            count: entry.count,
            receiver_id: entry.receiver.map(|id| id.0),
        }
    }
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let reader = globals.look(&config)?;
    let look = |heading, right, gives_way| Look {
        heading,
        right,
        gives_way,
        leaves: false,
    };
    let looks = vec![
        look("When", false, false),
        look("Who", false, true),
        look("What", false, false),
        look("Count", true, false),
        look("Target", false, true),
    ];
    let mut table = Table::new(looks, room().filter(|_| args.format == Format::Table));
    let mut out = BufWriter::new(io::stdout().lock());
    if args.format == Format::Tsv {
        writeln!(out, "id\tat\twho\taction\ttarget\tcount\treceiver_id")?;
    }
    let mut left = match args.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let mut before = None;
    while left > 0 {
        let entries = reader.audit(before, left.min(WINDOW))?;
        let Some(last) = entries.last() else { break };
        before = Some(last.id);
        left -= entries.len();
        match args.format {
            Format::Json => {
                for entry in &entries {
                    json_line(&mut out, &AuditJson::from(entry))?;
                }
            }
            Format::Tsv => {
                for entry in &entries {
                    let receiver = entry.receiver.map(|id| id.to_string());
                    writeln!(
                        out,
                        "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                        entry.id,
                        utc(entry.at),
                        entry.who.shown(),
                        entry.action.shown(),
                        entry.target.shown(),
                        entry.count,
                        receiver.unwrap_or_default()
                    )?;
                }
            }
            Format::Table => {
                let rows: Vec<_> = entries.iter().map(cells).collect();
                table.write(&mut out, &rows)?;
            }
        }
    }
    if before.is_none() && args.format == Format::Table {
        writeln!(out, "Nothing was done yet.")?;
    }
    out.flush()?;
    Ok(0)
}

fn cells(entry: &AuditEntry) -> Vec<Cell> {
    vec![
        local(entry.at).into(),
        entry.who.shown().into(),
        entry.action.shown().into(),
        DisplayText::line(&entry.count.to_string()).into(),
        entry.target.shown().into(),
    ]
}
