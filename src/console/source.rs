//! Answers from the store, over a connection of its own.

use chrono::Utc;

use super::{
    content,
    question::{
        Answer, At, CAUSES_OF_A_BACKEND, COUNT_CAP, MOST_CAUSES, Question, RANGE_CAP, Reach,
        Source, Unserved, Window, WindowQuestion,
    },
};
use crate::{
    message::{Reason, ReceiverId, Status, Text, Timestamp},
    query::{Is, Predicate, Query, Term},
    store::{Action, Anchor, Count, Reader, Row, StoreError, Target},
};

/// Ids in one query: far below what a statement may bind.
const IDS: usize = 500;

/// To the end, however far it is.
const NO_CAP: u64 = i64::MAX as u64;

/// The store as a [`Source`].
pub struct StoreSource {
    reader: Reader,
}

impl StoreSource {
    /// Answers over this connection.
    pub fn new(reader: Reader) -> Self {
        Self { reader }
    }

    fn ask(&self, question: &Question) -> Result<Answer, StoreError> {
        let reader = &self.reader;
        Ok(match question {
            Question::Version => Answer::Version(Some(reader.data_version()? as u64)),
            Question::Window(question) => Answer::Window(self.window(question)?),
            Question::Overview(until) => {
                let now = Utc::now();
                Answer::Overview {
                    counts: Box::new(reader.counts()?),
                    backends: reader.backends()?,
                    unserved: self.unserved(now)?.map(Box::new),
                    traffic: reader.traffic(now, *until)?,
                }
            }
            Question::Causes(query) => Answer::Causes(reader.causes(query, MOST_CAUSES)?),
            Question::Failures(backends) => {
                let causes_of = |backend: &Text| {
                    let query = of(Predicate::Backend(vec![backend.raw().to_owned()]));
                    reader.causes(&query, CAUSES_OF_A_BACKEND)
                };
                Answer::Failures(backends.iter().map(causes_of).collect::<Result<_, _>>()?)
            }
            Question::Detail(id) => Answer::Detail(reader.detail(*id)?.map(Box::new)),
            Question::Content { id, part, width } => {
                let both = reader.detail(*id)?.zip(reader.content_of(*id)?);
                Answer::Content(
                    both.map(|(detail, said)| content::read(&detail, &said, *part, *width)),
                )
            }
            Question::Raw { id, part } => {
                let said = reader.content_of(*id)?;
                Answer::Raw(said.and_then(|said| content::raw(&said, *part)))
            }
            Question::Find { page, words } => Answer::Find(page.find(words)),
            Question::Range {
                query,
                newest,
                oldest,
            } => Answer::Range(self.range(query, *newest, *oldest)?),
            Question::Affected { action, target } => Answer::Affected(self.reach(*action, target)?),
            Question::Marks { marks, query } => {
                let everything = Query::default();
                Answer::Marks {
                    total: self.marked(marks, &everything)?,
                    shown: self.marked(marks, query)?,
                }
            }
            Question::Count { query, exact } => {
                Answer::Count(reader.count(query, if *exact { NO_CAP } else { COUNT_CAP })?)
            }
        })
    }

    /// What is due by now, if no engine is alive to deliver it.
    fn unserved(&self, now: Timestamp) -> Result<Option<Unserved>, StoreError> {
        let oldest = self.reader.oldest_due()?.filter(|due| *due <= now);
        let Some(since) = oldest else {
            return Ok(None);
        };
        if self.reader.engines(now)?.iter().any(|engine| engine.alive) {
            return Ok(None);
        }
        let term = |negated, predicate| Term {
            negated,
            predicate,
            span: 0..0,
        };
        let due = Query {
            terms: vec![
                term(
                    false,
                    Predicate::Status(vec![Status::NotSent, Status::Failed]),
                ),
                term(true, Predicate::Is(vec![Is::Held, Is::Scheduled])),
            ],
        };
        let due = self.reader.count(&due, COUNT_CAP)?;
        Ok(Some(Unserved { since, due }))
    }

    fn window(&self, question: &WindowQuestion) -> Result<Window, StoreError> {
        let query = &question.query;
        let below = |anchor| self.up_to(query, anchor, question.below);
        let from_the_top = || -> Result<Window, StoreError> {
            let (rows, oldest) = below(Anchor::First)?;
            Ok(Window {
                rows,
                newest: true,
                oldest,
                marked: Vec::new(),
            })
        };
        let around = |id, (mut older, oldest): (Vec<Row>, bool)| -> Result<Window, StoreError> {
            let (mut rows, newest) = self.up_to(query, Anchor::Before(id), question.above)?;
            rows.append(&mut older);
            Ok(Window {
                rows,
                newest,
                oldest,
                marked: Vec::new(),
            })
        };
        let mut window = match question.at {
            At::Newest => from_the_top()?,
            At::Oldest => {
                let (rows, newest) =
                    self.up_to(query, Anchor::Last, question.above + question.below)?;
                Window {
                    rows,
                    newest,
                    oldest: true,
                    marked: Vec::new(),
                }
            }
            At::Around(id) => around(id, below(Anchor::From(id))?)?,
            At::Keep(id) => {
                let older = below(Anchor::From(id))?;
                if older.0.first().is_some_and(|row| row.id == id) {
                    around(id, older)?
                } else {
                    from_the_top()?
                }
            }
        };
        if let Some(marks) = &question.marks {
            for rows in window.rows.chunks(IDS) {
                let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
                let found = self
                    .reader
                    .window(&and_ids(marks, &ids), Anchor::First, ids.len())?;
                window.marked.extend(found.iter().map(|row| row.id));
            }
        }
        Ok(window)
    }

    /// So many rows from an anchor on, and whether these are all there are on that side.
    fn up_to(
        &self,
        query: &Query,
        anchor: Anchor,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), StoreError> {
        let mut rows = self.reader.window(query, anchor, limit + 1)?;
        let all = rows.len() <= limit;
        if !all {
            match anchor {
                Anchor::Last | Anchor::Before(_) => {
                    rows.remove(0);
                }
                Anchor::First | Anchor::After(_) | Anchor::From(_) => rows.truncate(limit),
            }
        }
        Ok((rows, all))
    }

    fn range(
        &self,
        query: &Query,
        newest: ReceiverId,
        oldest: ReceiverId,
    ) -> Result<Vec<ReceiverId>, StoreError> {
        let mut ids = Vec::new();
        let mut anchor = Anchor::From(newest);
        while ids.len() <= RANGE_CAP {
            let rows = self.reader.window(query, anchor, IDS)?;
            let Some(last) = rows.last().map(|row| row.id) else {
                break;
            };
            ids.extend(rows.iter().map(|row| row.id).take_while(|id| *id >= oldest));
            if last <= oldest {
                break;
            }
            anchor = Anchor::After(last);
        }
        Ok(ids)
    }

    fn reach(&self, action: Action, target: &Target) -> Result<Reach, StoreError> {
        let affected = self.reader.affected(action, target)?;
        let of = |reason| self.marked(target, &for_reason(reason));
        let (unconfirmed, held) = if action == Action::Resend {
            (of(Reason::Unconfirmed)?, of(Reason::Held)?)
        } else {
            (0, 0)
        };
        // Those being sent at this moment are among the counted, and left alone.
        let most = affected.total();
        Ok(Reach {
            affected,
            unconfirmed: unconfirmed.min(most),
            held: held.min(most),
        })
    }

    /// How many of the marks match a query.
    fn marked(&self, marks: &Target, query: &Query) -> Result<u64, StoreError> {
        match marks {
            Target::Ids(ids) => self.count_ids(query, ids),
            Target::Query(all) => self.count(&and(all, query)),
            Target::Except(all, except) => {
                let both = and(all, query);
                Ok(self
                    .count(&both)?
                    .saturating_sub(self.count_ids(&both, except)?))
            }
        }
    }

    fn count_ids(&self, query: &Query, ids: &[ReceiverId]) -> Result<u64, StoreError> {
        ids.chunks(IDS)
            .map(|ids| self.count(&and_ids(query, ids)))
            .sum()
    }

    fn count(&self, query: &Query) -> Result<u64, StoreError> {
        self.reader.count(query, NO_CAP).map(|count| match count {
            Count::Exact(count) | Count::AtLeast(count) => count,
        })
    }
}

fn and(one: &Query, other: &Query) -> Query {
    Query {
        terms: one.terms.iter().chain(&other.terms).cloned().collect(),
    }
}

fn for_reason(reason: Reason) -> Query {
    of(Predicate::Reason(vec![reason]))
}

fn of(predicate: Predicate) -> Query {
    Query {
        terms: vec![Term {
            negated: false,
            predicate,
            span: 0..0,
        }],
    }
}

fn and_ids(query: &Query, ids: &[ReceiverId]) -> Query {
    let mut query = query.clone();
    query.terms.push(Term {
        negated: false,
        predicate: Predicate::Id(ids.iter().map(|id| id.0).collect()),
        span: 0..0,
    });
    query
}

impl Source for StoreSource {
    fn answer(&mut self, question: &Question) -> Result<Answer, String> {
        self.ask(question).map_err(|error| error.to_string())
    }

    fn interrupter(&self) -> Box<dyn Fn() + Send + Sync> {
        let handle = self.reader.interrupt_handle();
        Box::new(move || handle.interrupt())
    }
}
