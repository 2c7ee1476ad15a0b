//! Answers from the store, over a connection of its own.

use std::{cmp::Ordering, sync::Arc};

use chrono::Utc;

use super::{
    content,
    question::{
        Answer, At, CAUSES_OF_A_BACKEND, COUNT_CAP, MOST_CAUSES, NAMED, Question, RANGE_CAP, Reach,
        Source, Unserved, Window, WindowQuestion,
    },
};
use crate::{
    message::{Reason, ReceiverId, Status, Text, Timestamp},
    query::{Predicate, Query, Term},
    store::{Action, Anchor, Count, Place, Reader, Row, Sort, StoreError, Target},
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
                    let mut query = of(Predicate::Backend(vec![backend.raw().to_owned()]));
                    // Who was asked to be sent again met the fault too, but is no failure now: the line above these counts none of them either.
                    let failed = vec![Status::Failed, Status::Error];
                    query.terms.extend(of(Predicate::Status(failed)).terms);
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
            Question::Raw { id, piece } => {
                let said = reader.content_of(*id)?;
                Answer::Raw(said.and_then(|said| content::raw(&said, *piece)))
            }
            Question::Find { page, words } => Answer::Find(page.find(words)),
            Question::Range {
                query,
                sort,
                from,
                to,
            } => Answer::Range(self.range(query, *sort, from, to)?),
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
            Question::Preview(query) | Question::Facet(query) => {
                Answer::Count(reader.count(query, COUNT_CAP)?)
            }
            Question::Scan { query, sort } => Answer::Scan(reader.scan(query, *sort)?),
            Question::Ends { query, sort } => Answer::Ends(self.ends(query, *sort)?.map(Box::new)),
            Question::Words => Answer::Words(reader.words()?),
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
        let due = self.reader.due(now, COUNT_CAP)?;
        Ok(Some(Unserved { since, due }))
    }

    fn window(&self, question: &WindowQuestion) -> Result<Window, StoreError> {
        let (query, sort) = (&question.query, question.sort);
        let from_the_top = || -> Result<Window, StoreError> {
            let (rows, oldest) = self.up_to(query, sort, &Anchor::First, question.below)?;
            Ok(Window {
                rows,
                newest: true,
                oldest,
                ..Window::default()
            })
        };
        let around = |place: &Place| -> Result<Window, StoreError> {
            let from = Anchor::From(place.clone());
            let (mut after, oldest) = self.up_to(query, sort, &from, question.below)?;
            let before = Anchor::Before(place.clone());
            let (mut rows, newest) = self.up_to(query, sort, &before, question.above)?;
            rows.append(&mut after);
            Ok(Window {
                rows,
                newest,
                oldest,
                ..Window::default()
            })
        };
        let mut window = match &question.at {
            At::First => from_the_top()?,
            At::Last => {
                let most = question.above + question.below;
                let (rows, newest) = self.up_to(query, sort, &Anchor::Last, most)?;
                Window {
                    rows,
                    newest,
                    oldest: true,
                    ..Window::default()
                }
            }
            At::Around(place) => {
                let mut window = around(place)?;
                let here = window.rows.iter().any(|row| row.id == place.id());
                // By their numbers nobody ever stands elsewhere.
                if !here && sort != Sort::default() {
                    window.elsewhere = self.place_of(query, place.id())?.is_some();
                }
                window
            }
            At::Keep(place) => match self.place_of(query, place.id())? {
                Some(place) => around(&place)?,
                None => from_the_top()?,
            },
            At::Find(id, place) => {
                let found = self.place_of(query, *id)?;
                around(found.as_ref().unwrap_or(place))?
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

    /// Where a receiver stands; `None`: it does not match.
    fn place_of(&self, query: &Query, id: ReceiverId) -> Result<Option<Place>, StoreError> {
        let found = self
            .reader
            .window(&and_ids(query, &[id]), Anchor::First, 1)?;
        Ok(found.first().map(Place::from))
    }

    /// So many rows from an anchor on, and whether these are all there are on that side.
    fn up_to(
        &self,
        query: &Query,
        sort: Sort,
        anchor: &Anchor<Place>,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), StoreError> {
        let mut rows = self.reader.window_in(query, sort, anchor, limit + 1)?;
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
        sort: Sort,
        from: &Place,
        to: &Place,
    ) -> Result<Vec<ReceiverId>, StoreError> {
        let mut ids = Vec::new();
        let mut anchor = Anchor::From(from.clone());
        while ids.len() <= RANGE_CAP {
            let rows = self.reader.window_in(query, sort, &anchor, IDS)?;
            let Some(last) = rows.last().map(Place::from) else {
                break;
            };
            let within = |row: &&Row| sort.compare(&Place::from(*row), to) != Ordering::Greater;
            ids.extend(rows.iter().take_while(within).map(|row| row.id));
            if sort.compare(&last, to) != Ordering::Less {
                break;
            }
            anchor = Anchor::After(last);
        }
        Ok(ids)
    }

    fn ends(&self, query: &Query, sort: Sort) -> Result<Option<(Place, Place)>, StoreError> {
        if self.reader.scan(query, sort)?.is_some() {
            return Ok(None);
        }
        let end = |anchor| -> Result<Option<Place>, StoreError> {
            let rows = self.reader.window_in(query, sort, &anchor, 1)?;
            Ok(rows.first().map(Place::from))
        };
        Ok(end(Anchor::First)?.zip(end(Anchor::Last)?))
    }

    fn reach(&self, action: Action, target: &Target) -> Result<Reach, StoreError> {
        let chosen = self.reader.choose(action, target)?;
        let affected = chosen.would().clone();
        let (unconfirmed, held) = if action == Action::Resend {
            (affected.unconfirmed, chosen.having(Reason::Held))
        } else {
            (0, 0)
        };
        let named = and_ids(&Query::default(), &chosen.first(NAMED));
        let first = match affected.total() {
            0 => Vec::new(),
            _ => self.reader.window(&named, Anchor::First, NAMED)?,
        };
        Ok(Reach {
            affected,
            unconfirmed,
            held,
            claimed: chosen.claimed(),
            first,
            chosen: Some(Arc::new(chosen)),
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
