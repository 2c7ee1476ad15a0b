use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use crossbeam_channel::{Receiver, Sender, bounded};
use indicatif::ProgressBar;

use super::{
    Exit,
    context::{Globals, acting},
    error::Usage,
    output::{receivers, say, tell},
    progress::progress,
};
use crate::{
    config::Config,
    import::devilry::{self, Dump, DumpError, Plan, Refusal, Settings},
    message::{MessageId, Status},
    store::{Import, ImportedMessage, ImportedReceiver, Reader, StoreError, Taken, Upkeep},
    suggest::did_you_mean,
};

/// Rows that go from the thread that reads to the one that writes at once.
const BATCH: usize = 128;

/// So many of them may wait.
const BATCHES: usize = 8;

/// Take over what another system left: messages and receivers with their history
#[derive(clap::Args)]
#[command(
    after_help = "Of Devilry: a dump by `python manage.py dumpdata devilry_account devilry_message`, as JSON or JSON Lines, packed by gzip or not. What was Not sent or Failed there is held here until `postroom release`. To import twice does no harm. A row that cannot be taken is told with its reason, and the others are taken; exit code 1.\n\nExamples:\n  postroom import devilry dump.json.gz --dry-run\n  python manage.py dumpdata devilry_account devilry_message | postroom import devilry -"
)]
pub(super) struct Args {
    /// What the file comes from
    #[arg(value_name = "FROM")]
    _from: From,
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where everything goes that is sent again [default: the default backend]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Its DEVILRY_MESSAGE_RESEND_LIMIT: held receivers that fail more often are an Error
    #[arg(long, value_name = "N", default_value_t = devilry::RESEND_LIMIT)]
    resend_limit: u32,
    /// Say what would be taken and what could not, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// Devilry's message framework
    Devilry,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let backend = backend(&config, args.backend.as_deref())?;
    let path = globals.store_path(&config)?;
    let folder = path.parent().unwrap_or(&path);
    let acting = acting(&config, format!("devilry {}", args.file.display()));
    let settings = Settings {
        resend_limit: args.resend_limit,
        language: config.delivery.default_language.clone(),
        now: acting.now,
    };
    if args.dry_run {
        let reader = globals.look(&config)?;
        let mut desk = Desk::new(To::Nowhere(&reader));
        desk.take_over(open(args)?, folder, &settings)?;
        return desk.close();
    }
    let store = globals.open(&config)?;
    // The log is moved beside the writing, not within it.
    let upkeep = Upkeep::start(&store)?;
    upkeep.set_busy(true);
    let mut desk = Desk::new(To::Store(store.import(&acting, backend, devilry::BY)));
    desk.take_over(open(args)?, folder, &settings)?;
    desk.close()
}

/// The way out of everything: one that can be used.
fn backend<'a>(config: &'a Config, named: Option<&'a str>) -> anyhow::Result<&'a str> {
    let Some(name) = named.or(config.default_backend()) else {
        bail!(if config.backends.is_empty() {
            "no backend is configured, so nothing could be sent again: add [backends.email] with host = \"…\" to the config file (`postroom init` writes one)"
        } else {
            "several backends are configured, and none is the default: name one with --backend, or in default_backend of the config file"
        });
    };
    let Some(backend) = config.backends.get(name) else {
        let near = did_you_mean(name, config.backends.keys().map(String::as_str));
        return Err(Usage(format!(
            "the backend `{name}` is not configured{near}; a backend is a section [backends.NAME] of the config file"
        ))
        .into());
    };
    if backend.from().is_none() {
        bail!(
            "the backend `{name}` has no `from`, and Devilry's dumps do not tell it (it is DEVILRY_EMAIL_DEFAULT_FROM there): add it to [backends.{name}]"
        );
    }
    Ok(name)
}

fn open(args: &Args) -> anyhow::Result<File> {
    if args.file.as_os_str() == "-" {
        let stdin = rustix::io::dup(rustix::stdio::stdin());
        return Ok(stdin.context("cannot read standard input")?.into());
    }
    let shown = args.file.display();
    let file = File::open(&args.file).with_context(|| format!("cannot read {shown}"))?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        bail!("{shown} is a folder: name the file that dumpdata wrote");
    }
    Ok(file)
}

/// Where receivers are taken to.
enum To<'a> {
    Store(Import<'a>),
    /// `--dry-run`
    Nowhere(&'a Reader),
}

impl To<'_> {
    fn receivers(&mut self, rows: &[ImportedReceiver]) -> Result<Vec<Taken>, StoreError> {
        match self {
            Self::Store(import) => import.take(rows),
            Self::Nowhere(reader) => reader.would_take(rows),
        }
    }

    fn messages(&mut self, rows: &[Arc<ImportedMessage>]) -> Result<Vec<Taken>, StoreError> {
        match self {
            Self::Store(import) => import.take_messages(rows),
            Self::Nowhere(reader) => reader.would_take_messages(rows),
        }
    }
}

/// What the reading thread hands to the writing one.
type Row = Result<ImportedReceiver, Refusal>;

/// Takes rows over, and counts what became of them.
struct Desk<'a> {
    to: To<'a>,
    bar: ProgressBar,
    /// Receivers taken, as many as there are addresses: by status, in the order of [`Status::ALL`].
    taken: [u64; 4],
    /// Messages without receivers that were taken.
    lonely: u64,
    /// Rows of receivers that were there already.
    already: u64,
    refused: u64,
}

impl<'a> Desk<'a> {
    fn new(to: To<'a>) -> Self {
        Self {
            to,
            bar: progress("{msg} {bar:30} {percent} %, {eta} left"),
            taken: [0; 4],
            lonely: 0,
            already: 0,
            refused: 0,
        }
    }

    fn take_over(&mut self, file: File, folder: &Path, settings: &Settings) -> anyhow::Result<()> {
        let done = self.all(file, folder, settings);
        self.bar.finish_and_clear();
        done
    }

    fn all(&mut self, file: File, folder: &Path, settings: &Settings) -> anyhow::Result<()> {
        self.bar.set_message("reading");
        let mut dump = Dump::new(file, folder).context("cannot read the dump")?;
        self.bar.set_length(dump.size().unwrap_or_default());
        let mut plan = dump.look(&mut |position| self.bar.set_position(position))?;
        for refusal in std::mem::take(&mut plan.refusals) {
            self.refuse(&refusal);
        }
        self.bar.set_message("taking receivers over");
        self.bar.set_position(0);
        self.bar.set_length(plan.receivers);
        self.bar.reset_eta();
        let (rows, batches) = bounded(BATCHES);
        thread::scope(|scope| {
            let (plan, dump) = (&mut plan, &mut dump);
            let reading = scope.spawn(move || read(plan, dump, settings, &rows));
            // Whoever reads stops where nobody writes.
            let written = self.write(&batches);
            drop(batches);
            let read = reading
                .join()
                .map_err(|_| anyhow!("the thread that reads the dump panicked"))?;
            written.and(read.map_err(anyhow::Error::from))
        })?;
        self.without_receivers(&mut plan, settings)
    }

    fn write(&mut self, batches: &Receiver<Vec<Row>>) -> anyhow::Result<()> {
        for batch in batches {
            let rows = batch.len() as u64;
            let (good, bad): (Vec<_>, Vec<_>) = batch.into_iter().partition(Result::is_ok);
            for refusal in bad.into_iter().filter_map(Result::err) {
                self.refuse(&refusal);
            }
            let good: Vec<ImportedReceiver> = good.into_iter().flatten().collect();
            for (receiver, taken) in good.iter().zip(self.to.receivers(&good)?) {
                match taken {
                    Taken::New => {
                        let n = receiver.identities.len() as u64;
                        self.taken[receiver.state.status() as usize] += n;
                    }
                    Taken::Already => self.already += 1,
                    Taken::Foreign(id) => self.foreign(&receiver.message, id),
                }
            }
            self.bar.inc(rows);
        }
        Ok(())
    }

    fn without_receivers(&mut self, plan: &mut Plan, settings: &Settings) -> anyhow::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut failed = None;
        plan.lonely(settings, &mut |message| {
            batch.push(message);
            if batch.len() == BATCH {
                failed = self.messages(&std::mem::take(&mut batch)).err();
            }
            failed.is_none()
        })?;
        match failed {
            Some(error) => Err(error),
            None => self.messages(&batch),
        }
    }

    fn messages(&mut self, messages: &[Arc<ImportedMessage>]) -> anyhow::Result<()> {
        for (message, taken) in messages.iter().zip(self.to.messages(messages)?) {
            match taken {
                Taken::New => self.lonely += 1,
                Taken::Already => {}
                Taken::Foreign(id) => self.foreign(message, id),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.refused += 1;
        self.bar.suspend(|| tell(&refusal.to_string()));
    }

    /// Told for each row, since each is one that was not taken.
    fn foreign(&mut self, message: &ImportedMessage, there: MessageId) {
        self.refused += 1;
        let key = &message.key;
        self.bar.suspend(|| {
            tell(&format!(
                "{key}: message {there} has this key and is another, as from another Devilry; import this one into a store of its own"
            ));
        });
    }

    /// Says what was done.
    fn close(&self) -> Exit {
        let (begin, dry) = match self.to {
            To::Store(_) => ("took", false),
            To::Nowhere(_) => ("would take", true),
        };
        let all: u64 = self.taken.iter().sum();
        let by_status: Vec<_> = Status::ALL
            .iter()
            .zip(self.taken)
            .filter(|(_, n)| *n > 0)
            .map(|(status, n)| format!("{n} {status}"))
            .collect();
        let all = format!("import: {begin} {}", receivers(all));
        let mut said = vec![if by_status.is_empty() {
            all
        } else {
            format!("{all} ({})", by_status.join(", "))
        }];
        for (n, why) in [
            (self.lonely, "of its messages had no receivers"),
            (self.already, "of its rows were taken before"),
            (self.refused, "of its rows cannot be taken"),
        ] {
            if n > 0 {
                said.push(format!("{n} {why}"));
            }
        }
        say(&said.join("; "))?;
        let of = |status| self.taken[status as usize];
        let held = of(Status::NotSent) + of(Status::Failed);
        if held > 0 && !dry {
            say(&format!(
                "{} held: `postroom list is:held` shows whom, `postroom release is:held` lets them go",
                receivers(held)
            ))?;
        }
        Ok(u8::from(self.refused > 0))
    }
}

/// Reads receivers and hands them over, as long as somebody takes them.
fn read(
    plan: &mut Plan,
    dump: &mut Dump,
    settings: &Settings,
    rows: &Sender<Vec<Row>>,
) -> Result<(), DumpError> {
    let mut batch = Vec::with_capacity(BATCH);
    plan.receivers(dump, settings, &mut |row| {
        batch.push(row);
        batch.len() < BATCH || rows.send(std::mem::take(&mut batch)).is_ok()
    })?;
    // Refused only when nobody writes any more, who then says why.
    let _ = rows.send(batch);
    Ok(())
}
