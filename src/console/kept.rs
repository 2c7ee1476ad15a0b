//! What the console keeps from one run to the next: columns, the order of the rows, queries that were asked, queries with a name. A small file of the operator's, not of
//! the store; without it nothing breaks.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use crossbeam_channel::{Sender, unbounded};
use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize};

use super::state::KeptColumn;
use crate::store::{By, Sort};

/// The version of the file. One of another is left alone: it is set aside before this one takes its place.
const VERSION: u32 = 1;

/// So many queries that were asked are kept.
const HISTORY: usize = 200;

/// A file larger than this is none of ours. Bytes.
const LARGEST: u64 = 4 << 20;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    /// The columns, in order; none: as usual.
    #[serde(default)]
    pub columns: Vec<KeptColumn>,
    /// The order of the rows; none: as usual.
    #[serde(default)]
    sort: Option<KeptSort>,
    /// Queries that were asked, the latest last.
    #[serde(default)]
    pub history: Vec<String>,
    /// Queries by name.
    #[serde(default)]
    pub queries: BTreeMap<String, String>,
}

/// An order, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptSort {
    by: String,
    reversed: bool,
}

/// Something else is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These columns.
    Columns(Vec<KeptColumn>),
    /// The rows are in this order.
    Sort(Sort),
    /// This query was asked.
    Asked(String),
    /// A query got a name.
    Saved {
        /// The name.
        name: String,
        /// The query.
        query: String,
    },
    /// The query of this name is no longer wanted.
    Forgotten(String),
}

/// Where it is kept: `$XDG_STATE_HOME/postroom/console.json`. `None`: the machine knows no home.
pub fn place() -> Option<PathBuf> {
    let folder = etcetera::choose_base_strategy().ok()?.state_dir()?;
    Some(folder.join("postroom").join("console.json"))
}

/// What is kept there; nothing when there is no file, or none that can be read.
pub fn read(path: &Path) -> Kept {
    look(path).unwrap_or_default().unwrap_or_default()
}

/// `Ok(None)`: there is a file, but it is not understood.
fn look(path: &Path) -> io::Result<Option<Kept>> {
    if fs::metadata(path)?.len() > LARGEST {
        return Ok(None);
    }
    let kept = serde_json::from_slice::<Kept>(&fs::read(path)?).ok();
    Ok(kept.filter(|kept| kept.version == VERSION))
}

impl Kept {
    /// The order of the rows; the usual one in the place of one that is not known.
    pub fn sort(&self) -> Sort {
        let named = |kept: &KeptSort| {
            let by = By::ALL.into_iter().find(|by| by.name() == kept.by)?;
            let reversed = kept.reversed;
            Some(Sort { by, reversed })
        };
        self.sort.as_ref().and_then(named).unwrap_or_default()
    }

    /// Takes a change in.
    pub fn take(&mut self, change: Change) {
        match change {
            Change::Columns(columns) => self.columns = columns,
            Change::Sort(Sort { by, reversed }) => {
                let by = by.name().to_owned();
                self.sort = Some(KeptSort { by, reversed });
            }
            Change::Asked(query) => {
                self.history.retain(|other| *other != query);
                self.history.push(query);
                let over = self.history.len().saturating_sub(HISTORY);
                self.history.drain(..over);
            }
            Change::Saved { name, query } => {
                self.queries.insert(name, query);
            }
            Change::Forgotten(name) => {
                self.queries.remove(&name);
            }
        }
    }
}

/// Writes a change down, beside those that another console has written meanwhile.
pub fn change(path: &Path, change: Change) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut kept = match look(path) {
        Ok(Some(kept)) => kept,
        Ok(None) => {
            fs::rename(path, path.with_extension("json.old"))?;
            Kept::default()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
        Err(error) => return Err(error),
    };
    kept.version = VERSION;
    kept.take(change);
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(&kept)?)?;
    file.write_all(b"\n")?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The thread that writes changes down, one after the other. Dropped, it writes what it was given and waits.
#[derive(Debug)]
pub struct Keeper {
    changes: Option<Sender<Change>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it; `told` hears of every change that could not be written.
    pub fn start(path: PathBuf, told: impl Fn(io::Error) + Send + 'static) -> io::Result<Self> {
        let (changes, given) = unbounded();
        let thread = std::thread::Builder::new()
            .name("console-keeper".to_owned())
            .spawn(move || {
                for wanted in given {
                    if let Err(error) = change(&path, wanted) {
                        told(error);
                    }
                }
            })?;
        Ok(Self {
            changes: Some(changes),
            thread: Some(thread),
        })
    }

    /// Has a change written down. Returns at once.
    pub fn keep(&self, change: Change) {
        if let Some(changes) = &self.changes {
            drop(changes.send(change));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::console::state::Columns;

    #[test]
    fn what_is_kept_is_for_its_owner_only_and_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/postroom/console.json");
        assert_eq!(read(&path), Kept::default());
        let mut columns = Columns::default();
        columns.turn(1).unwrap();
        columns.shift(0, true);
        columns.size(3, 20, 2);
        let sort = Sort {
            by: By::Sent,
            reversed: true,
        };
        for wanted in [
            Change::Columns(columns.kept()),
            Change::Sort(sort),
            Change::Asked("april".to_owned()),
            Change::Asked("status:failed".to_owned()),
            Change::Asked("april".to_owned()),
            Change::Saved {
                name: "stuck".to_owned(),
                query: "failed:>2".to_owned(),
            },
        ] {
            change(&path, wanted).unwrap();
        }
        let kept = read(&path);
        assert_eq!(Columns::from_kept(&kept.columns), columns);
        assert_eq!(kept.sort(), sort);
        assert_eq!(kept.history, ["status:failed", "april"]);
        assert_eq!(kept.queries["stuck"], "failed:>2");
        change(&path, Change::Forgotten("stuck".to_owned())).unwrap();
        assert!(read(&path).queries.is_empty());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_is_not_understood_breaks_nothing_and_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.json");
        for text in ["", "{", "[]", "{\"version\":2,\"columns\":[]}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path), Kept::default());
            change(&path, Change::Asked("april".to_owned())).unwrap();
            assert_eq!(read(&path).history, ["april"]);
            let old = folder.path().join("console.json.old");
            assert_eq!(fs::read_to_string(old).unwrap(), text);
        }
        assert_eq!(read(folder.path()), Kept::default(), "a folder is no file");
    }

    #[test]
    fn an_order_of_another_version_is_the_usual_one() {
        let kept: Kept = serde_json::from_str(
            r#"{"version":1,"sort":{"by":"mood","reversed":true},"history":["april"]}"#,
        )
        .unwrap();
        assert_eq!(kept.sort(), Sort::default());
        assert_eq!(kept.history, ["april"]);
    }

    #[test]
    fn columns_of_another_version_leave_every_column_where_it_can_be_found() {
        let kept: Vec<KeptColumn> = serde_json::from_str(
            r#"[{"name":"mood","shown":true,"width":9},{"name":"subject","shown":false,"width":99999},{"name":"subject","shown":true,"width":null}]"#,
        )
        .unwrap();
        let columns = Columns::from_kept(&kept);
        assert_eq!(columns.all().len(), Columns::default().all().len());
        let first = columns.all()[0];
        assert!(first.shown && first.width.unwrap() < 1000, "{first:?}");
    }
}
