use std::io::{self, BufWriter, Write};

use clap::{ArgAction, ValueEnum};

use super::{
    Exit,
    columns::Column,
    context::{Globals, query},
    output::json_line,
    receiver::ReceiverJson,
    table::{Cell, Look, Table, room},
};
use crate::{
    message::Status,
    query::FIELDS,
    store::{Anchor, Row},
};

/// Rows a look into the store brings: no question to it takes long, however much is listed.
const WINDOW: usize = 500;

/// List receivers, newest first
#[derive(clap::Args)]
#[command(after_help = super::list::help())]
pub(super) struct Args {
    /// Which: words, field:value, -not; several are joined by a space. One that begins with `-` goes after `--`
    query: Vec<String>,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Which columns, for table and tsv [default: what Devilry's list shows, as far as the terminal is wide]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', action = ArgAction::Set)]
    columns: Option<Vec<Column>>,
    /// How many at most; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = limit)]
    limit: usize,
    /// In which order
    #[arg(long, value_name = "ORDER", default_value = "newest")]
    sort: Sort,
}

/// How to write what is many.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns that line up, in local time
    Table,
    /// One object a line
    Json,
    /// Values between tabs, under a line of names
    Tsv,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The latest first
    #[value(alias = "-id", alias = "-created")]
    Newest,
    /// The earliest first
    #[value(alias = "id", alias = "created")]
    Oldest,
}

/// For `--limit`.
pub(super) fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .map_err(|_| "how many rows at most is a whole number; 0 is all")
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
         postroom list --format json --limit 0 -- -status:sent created:<7d",
        fields.concat()
    )
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let (_, query) = query(&args.query)?;
    let reader = globals.look(&config)?;

    let room = room().filter(|_| args.format == Format::Table);
    let columns = match &args.columns {
        Some(columns) => columns.clone(),
        None => Column::usual(room),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut writer = Writer::new(args.format, &columns, room, globals.colour());
    let mut left = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut anchor = match args.sort {
        Sort::Newest => Anchor::First,
        Sort::Oldest => Anchor::Last,
    };
    writer.begin(&mut out)?;
    while left > 0 {
        let mut rows = reader.window(&query, anchor, left.min(WINDOW))?;
        if args.sort == Sort::Oldest {
            rows.reverse();
        }
        let Some(last) = rows.last() else { break };
        anchor = match args.sort {
            Sort::Newest => Anchor::After(last.id),
            Sort::Oldest => Anchor::Before(last.id),
        };
        left -= rows.len();
        writer.rows(&mut out, &rows)?;
    }
    writer.end(&mut out)?;
    out.flush()?;
    Ok(0)
}

struct Writer<'a> {
    format: Format,
    columns: &'a [Column],
    colour: bool,
    table: Table,
    any: bool,
}

impl<'a> Writer<'a> {
    fn new(format: Format, columns: &'a [Column], room: Option<usize>, colour: bool) -> Self {
        let looks = columns
            .iter()
            .map(|column| Look {
                heading: column.heading(),
                right: column.is_number(),
                gives_way: column.gives_way(),
            })
            .collect();
        Self {
            format,
            columns,
            colour,
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
        Cell {
            text: column.cell(row),
            colour,
        }
    }
}
