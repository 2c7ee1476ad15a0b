use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::{
    Exit,
    context::{Globals, query},
    output::{json_line, local, utc},
    table::{Cell, Format, Look, Table, limit, room},
};
use crate::{
    message::{DisplayText, Text},
    store::CauseRow,
};

/// Show failures grouped by cause, the biggest group first
#[derive(clap::Args)]
#[command(
    after_help = "What differs from one receiver to the next stands as a placeholder in the text. `cause:N` finds a group's receivers.\n\n\
                  Examples:\n  postroom causes\n  postroom causes status:error created:<7d\n  postroom resend cause:7 --dry-run"
)]
pub(super) struct Args {
    /// Of which receivers: as in `list`. What was sent is never counted [default: all that are not Sent]
    query: Vec<String>,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// How many at most; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = limit)]
    limit: usize,
}

/// A cause in one JSON object: the keys that scripts rely on.
#[derive(Serialize)]
struct CauseJson<'a> {
    id: i64,
    count: u64,
    code: Option<u16>,
    enhanced_code: Option<&'a str>,
    text: &'a str,
    server: Option<&'a str>,
    phase: Option<&'a str>,
    first_seen: String,
    last_seen: String,
    sample: i64,
}

impl<'a> From<&'a CauseRow> for CauseJson<'a> {
    fn from(row: &'a CauseRow) -> Self {
        Self {
            id: row.id.0,
            count: row.count,
            code: row.code,
            enhanced_code: row.enhanced_code.as_ref().map(Text::raw),
            text: row.text.raw(),
            server: row.server.as_ref().map(Text::raw),
            phase: row.phase.as_ref().map(Text::raw),
            first_seen: utc(row.first_seen),
            last_seen: utc(row.last_seen),
            sample: row.sample.0,
        }
    }
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let (_, query) = query(&args.query)?;
    let limit = match args.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let causes = globals.look(&config)?.causes(&query, limit)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Json => {
            for row in &causes {
                json_line(&mut out, &CauseJson::from(row))?;
            }
        }
        Format::Tsv => tsv(&mut out, &causes)?,
        Format::Table if causes.is_empty() => writeln!(out, "No failed receiver matches.")?,
        Format::Table => table(&mut out, &causes)?,
    }
    out.flush()?;
    Ok(0)
}

fn shown(text: Option<&Text>) -> DisplayText {
    text.map(Text::shown).unwrap_or_default()
}

fn tsv(out: &mut dyn Write, causes: &[CauseRow]) -> io::Result<()> {
    writeln!(
        out,
        "id\tcount\tcode\tenhanced_code\ttext\tserver\tphase\tfirst_seen\tlast_seen\tsample"
    )?;
    for row in causes {
        let code = row.code.map(|code| code.to_string()).unwrap_or_default();
        writeln!(
            out,
            "{}\t{}\t{code}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            row.id,
            row.count,
            shown(row.enhanced_code.as_ref()),
            row.text.shown(),
            shown(row.server.as_ref()),
            shown(row.phase.as_ref()),
            utc(row.first_seen),
            utc(row.last_seen),
            row.sample
        )?;
    }
    Ok(())
}

/// The text begins with the codes where there are some: no columns for these.
fn table(out: &mut dyn Write, causes: &[CauseRow]) -> io::Result<()> {
    let look = |heading, right, gives_way| Look {
        heading,
        right,
        gives_way,
        leaves: matches!(heading, "Server" | "Phase" | "First seen"),
    };
    let looks = vec![
        look("Cause", true, false),
        look("Count", true, false),
        look("Text", false, true),
        look("Server", false, true),
        look("Phase", false, false),
        look("First seen", false, false),
        look("Last seen", false, false),
        look("Sample", true, false),
    ];
    let cells: Vec<Vec<Cell>> = causes
        .iter()
        .map(|row| {
            vec![
                row.id.to_string().into(),
                row.count.to_string().into(),
                row.text.shown().into(),
                shown(row.server.as_ref()).into(),
                shown(row.phase.as_ref()).into(),
                local(row.first_seen).into(),
                local(row.last_seen).into(),
                row.sample.to_string().into(),
            ]
        })
        .collect();
    Table::new(looks, room()).write(out, &cells)
}
