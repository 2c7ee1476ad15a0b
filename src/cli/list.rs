use std::{
    collections::BTreeMap,
    io::{self, BufWriter, IsTerminal as _, Write},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    time::Duration,
};

use clap::{ArgAction, ValueEnum as _};
use serde_json::{Map, Value};

use super::{
    Exit,
    columns::Column,
    context::{Globals, query},
    output::{json_line, tell},
    receiver::ReceiverJson,
    table::{Cell, Format, Look, Table, limit, room},
};
use crate::{
    message::{DisplayText, Status},
    query::FIELDS,
    store::{Anchor, By, Row, Scan, Sort},
    suggest::did_you_mean,
};

/// Rows a look into the store brings: no question to it takes long, however much is listed.
const WINDOW: usize = 500;

/// Who waits longer than this is told why.
const PATIENCE: Duration = Duration::from_secs(1);

/// List receivers, newest first
#[derive(clap::Args)]
#[command(after_help = super::list::help())]
pub(super) struct Args {
    /// Which: words, field:value, -not; several are joined by a space. One that begins with `-` goes after `--`
    query: Vec<String>,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Which columns, by these names or those of json [default: what Devilry's list shows, as far as the terminal is wide; everything in json]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', action = ArgAction::Set)]
    columns: Option<Vec<Column>>,
    /// How many at most; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = limit)]
    limit: usize,
    /// In which order: id, created, sent (latest first), type or status; `:asc` or `:desc` behind it names the direction
    #[arg(long, value_name = "ORDER", default_value = "id", value_parser = sort)]
    sort: Sort,
}

/// Reads an order: the name of a column that has an index, and a direction if it is not the usual one.
fn sort(text: &str) -> Result<Sort, String> {
    let orders = By::ALL.map(By::name).join(", ");
    let right = format!("orders are {orders}, with `:asc` or `:desc` behind it for a direction");
    let (name, direction) = match text {
        "newest" => ("id", Some("desc")),
        "oldest" => ("id", Some("asc")),
        _ => match text.split_once(':') {
            Some((name, direction)) => (name, Some(direction)),
            None => (text, None),
        },
    };
    let Ok(column) = Column::from_str(name, true) else {
        let near = did_you_mean(name, By::ALL.map(By::name));
        return Err(format!("`{name}` is no order{near} ({right})"));
    };
    let by = column.order().ok_or_else(|| {
        format!("no index gives the order of `{name}`: every receiver would have to be read first ({right})")
    })?;
    let reversed = match direction {
        None => false,
        Some("asc") => by.descends(),
        Some("desc") => !by.descends(),
        Some(other) => {
            let near = did_you_mean(other, ["asc", "desc"]);
            return Err(format!("`{other}` is no direction{near} ({right})"));
        }
    };
    Ok(Sort { by, reversed })
}

/// The query language in a few lines, from its own table.
pub(super) fn help() -> String {
    let fields: Vec<_> = FIELDS
        .iter()
        .map(|field| {
            let spelled = format!("{}:{}", field.name, field.example);
            format!("  {spelled:<24} {}\n", field.help)
        })
        .collect();
    format!(
        "Fields of a query (`,` is or, `-` in front is not, quotes keep spaces):\n{}\n\
         Examples:\n  postroom list status:failed,error type:feedback\n  \
         postroom list --format json --limit 0 -- -status:sent 'created:<7d'",
        fields.concat()
    )
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let (_, query) = query(&args.query)?;
    let reader = globals.look(&config)?;

    let room = room().filter(|_| args.format == Format::Table);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut writer = Writer::new(args, room, globals.colour(), config.types);
    let mut left = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let scan = reader.scan(&query, args.sort)?;
    let _notice = scan.and_then(notice);
    let mut anchor = Anchor::First;
    writer.begin(&mut out)?;
    while left > 0 {
        let rows = reader.window_in(&query, args.sort, &anchor, left.min(WINDOW))?;
        let Some(last) = rows.last() else { break };
        anchor = Anchor::After(last.into());
        left -= rows.len();
        writer.rows(&mut out, &rows)?;
        // Who reads along need not wait for the next look.
        out.flush()?;
    }
    writer.end(&mut out)?;
    out.flush()?;
    Ok(0)
}

/// Says why it takes long: in the log, and to who waits at a terminal. Dropped in time, it says nothing there.
fn notice(scan: Scan) -> Option<Sender<()>> {
    tracing::info!("{scan}");
    let (done, waited) = mpsc::channel();
    let tell_it = move || {
        if waited.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tell(&format!("postroom: {scan} (Ctrl-C ends it)"));
        }
    };
    let waits = io::stderr().is_terminal();
    // Without the thread nobody is told: that is all.
    waits.then(|| {
        std::thread::Builder::new()
            .spawn(tell_it)
            .map(|_| done)
            .ok()
    })?
}

struct Writer {
    format: Format,
    columns: Vec<Column>,
    /// Which columns were asked for: in JSON the others go.
    chosen: bool,
    colour: bool,
    /// Labels of types, for a person's eyes.
    types: BTreeMap<String, String>,
    table: Table,
    any: bool,
}

impl Writer {
    fn new(
        args: &Args,
        room: Option<usize>,
        colour: bool,
        types: BTreeMap<String, String>,
    ) -> Self {
        let columns = match &args.columns {
            Some(columns) => columns.clone(),
            None => Column::usual(room),
        };
        let looks = columns
            .iter()
            .map(|column| Look {
                heading: column.heading(),
                right: column.is_number(),
                gives_way: column.gives_way(),
                leaves: false,
            })
            .collect();
        Self {
            format: args.format,
            columns,
            chosen: args.columns.is_some(),
            colour,
            types,
            table: Table::new(looks, room),
            any: false,
        }
    }

    fn begin(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.format == Format::Tsv {
            let names: Vec<_> = self.columns.iter().map(|column| column.key()).collect();
            writeln!(out, "{}", names.join("\t"))?;
        }
        Ok(())
    }

    fn rows(&mut self, out: &mut dyn Write, rows: &[Row]) -> anyhow::Result<()> {
        self.any |= !rows.is_empty();
        match self.format {
            Format::Json if self.chosen => {
                for row in rows {
                    let whole = serde_json::to_value(ReceiverJson::from(row))?;
                    let chosen: Map<String, Value> = self
                        .columns
                        .iter()
                        .map(|column| (column.key().to_owned(), whole[column.key()].clone()))
                        .collect();
                    json_line(&mut *out, &chosen)?;
                }
            }
            Format::Json => {
                for row in rows {
                    json_line(&mut *out, &ReceiverJson::from(row))?;
                }
            }
            Format::Tsv => {
                for row in rows {
                    let values: Vec<_> = self
                        .columns
                        .iter()
                        .map(|column| column.value(row).into_string())
                        .collect();
                    writeln!(out, "{}", values.join("\t"))?;
                }
            }
            Format::Table => {
                let cells: Vec<Vec<Cell>> = rows
                    .iter()
                    .map(|row| {
                        self.columns
                            .iter()
                            .map(|column| self.cell(*column, row))
                            .collect()
                    })
                    .collect();
                self.table.write(out, &cells)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.format == Format::Table && !self.any {
            writeln!(out, "No receiver matches.")?;
        }
        Ok(())
    }

    fn cell(&self, column: Column, row: &Row) -> Cell {
        let colour = match row.state.status() {
            _ if !self.colour || column != Column::Status => None,
            Status::NotSent => None,
            Status::Failed => Some("33"),
            Status::Error => Some("31"),
            Status::Sent => Some("32"),
        };
        let label = self.types.get(row.kind.raw());
        let label = label.filter(|_| column == Column::Type);
        let text = label.map_or_else(|| column.cell(row), |label| DisplayText::line(label));
        Cell { text, colour }
    }
}
