//! A store in memory: a handful of receivers and enough of the query language to ask for them.

use std::collections::BTreeMap;

use serde_json::json;

use super::at;
use crate::{
    console::{
        content,
        question::{
            Answer, At, COUNT_CAP, NAMED, Question, RANGE_CAP, Reach, Source, Unserved, Window,
            WindowQuestion,
        },
    },
    message::{
        Attempt, AttemptId, Body, CauseId, Content, MessageId, Outcome, Reason, ReceiverId, State,
        Status, Text,
    },
    query::{Is, Predicate, Query, To, When},
    store::{
        BackendRow, BackendState, CauseRow, Count, Counts, Detail, Place, Row, Scan, Sort, Target,
        Traffic, Words,
    },
};

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) receivers: BTreeMap<i64, Detail>,
    /// What messages say that do not say the usual.
    pub(super) contents: BTreeMap<i64, Content>,
    pub(super) backends: Vec<BackendRow>,
    /// Receivers that an engine has armed.
    pub(super) armed: Vec<i64>,
    pub(super) version: u64,
    /// The cause of receivers that have not the usual one.
    pub(super) causes: BTreeMap<i64, (i64, String)>,
    /// Every question is answered with this error.
    pub(super) broken: Option<String>,
    /// What is due although nobody delivers.
    pub(super) unserved: Option<Unserved>,
    /// Questions for rows are answered with this error.
    pub(super) unreadable: Option<String>,
    /// How things go over the backends.
    pub(super) traffic: Vec<Traffic>,
    /// What makes every query slow.
    pub(super) scan: Option<Scan>,
    /// How many questions were answered.
    pub(super) answered: usize,
}

const PEOPLE: [(&str, &str, &str); 5] = [
    ("april", "april@example.com", "en"),
    ("dewey", "dewey@example.org", "en"),
    ("ingrid", "ingrid.sørlie@uni.example", "nb"),
    ("yuki", "yuki@daigaku.example", "ja"),
    ("omar", "omar@jamia.example", "ar"),
];

const SUBJECTS: [(&str, &str); 5] = [
    ("comment", "An admin added a new comment for Assignment 7"),
    ("feedback", "Feedback on Assignment 7: passed"),
    ("deadline_moved", "Fristen er flyttet: Oblig 2 i Databaser"),
    ("feedback", "課題 9に新しいコメントがあります"),
    ("comment", "تعليق جديد على الإجابة"),
];

impl Memory {
    /// So many receivers; every fourth failed, every tenth is an error, every twenty-fifth is not sent yet.
    pub(super) fn of(receivers: i64) -> Self {
        let mut memory = Self {
            backends: vec![
                backend("email", BackendState::Up, 0),
                backend("sms", BackendState::Down, 812),
            ],
            ..Self::default()
        };
        for id in 1..=receivers {
            memory.add(id, state_of(id));
        }
        memory
    }

    pub(super) fn add(&mut self, id: i64, state: State) {
        self.receivers.insert(id, receiver(id, state));
        self.version += 1;
    }

    /// As if it had been tried, or an operator had acted on it.
    pub(super) fn set(&mut self, id: i64, state: State) {
        if let Some(detail) = self.receivers.get_mut(&id) {
            detail.row.state = state;
            self.version += 1;
        }
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.receivers.remove(&id);
        self.version += 1;
    }

    fn matching(&self, query: &Query) -> impl DoubleEndedIterator<Item = &Row> {
        let query = query.clone();
        self.receivers
            .values()
            .rev()
            .map(|detail| &detail.row)
            .filter(move |row| self.matches(&query, row))
    }

    fn matches(&self, query: &Query, row: &Row) -> bool {
        query.terms.iter().all(|term| match &term.predicate {
            Predicate::Cause(causes) => {
                let cause = self.cause_of(row).map(|(id, _)| id);
                cause.is_some_and(|id| causes.contains(&id)) != term.negated
            }
            _ => matches(
                &Query {
                    terms: vec![term.clone()],
                },
                row,
            ),
        })
    }

    /// What matches, in this order.
    fn sorted(&self, query: &Query, sort: Sort) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.matching(query).collect();
        rows.sort_by(|one, other| sort.compare(&Place::from(*one), &Place::from(*other)));
        rows
    }

    fn window(&self, question: &WindowQuestion) -> Window {
        let sort = question.sort;
        let rows = self.sorted(&question.query, sort);
        let place_of = |id: ReceiverId| {
            let row = rows.iter().find(|row| row.id == id);
            row.map(|row| Place::from(*row))
        };
        let around = |place: &Place| {
            let before = |row: &&Row| sort.compare(&Place::from(*row), place).is_lt();
            let at = rows.partition_point(before);
            (at.saturating_sub(question.above), at + question.below)
        };
        let mut elsewhere = false;
        let (from, to) = match &question.at {
            At::First => (0, question.below),
            At::Last => (
                rows.len().saturating_sub(question.above + question.below),
                rows.len(),
            ),
            At::Keep(place) => match place_of(place.id()) {
                Some(place) => around(&place),
                None => (0, question.below),
            },
            At::Around(place) => {
                let (from, to) = around(place);
                let seen = &rows[from..to.min(rows.len())];
                elsewhere =
                    place_of(place.id()).is_some() && seen.iter().all(|row| row.id != place.id());
                (from, to)
            }
            At::Find(id, place) => around(&place_of(*id).unwrap_or_else(|| place.clone())),
        };
        let to = to.min(rows.len());
        let shown: Vec<Row> = rows[from..to].iter().map(|row| (*row).clone()).collect();
        let marked = match &question.marks {
            Some(marks) => shown
                .iter()
                .filter(|row| self.matches(marks, row))
                .map(|row| row.id)
                .collect(),
            None => Vec::new(),
        };
        Window {
            newest: from == 0,
            oldest: to == rows.len(),
            rows: shown,
            marked,
            elsewhere,
        }
    }

    fn words(&self) -> Words {
        let rows = || self.receivers.values().map(|detail| &detail.row);
        let names = |of: fn(&Row) -> &Text| {
            let names: std::collections::BTreeSet<Text> =
                rows().map(|row| of(row).clone()).collect();
            names.into_iter().collect()
        };
        Words {
            types: names(|row| &row.kind),
            backends: names(|row| &row.backend),
            languages: names(|row| &row.language),
            causes: Vec::new(),
        }
    }

    /// Failed ones met greylisting, Errors a refusal, unless a receiver has another cause.
    fn causes(&self, query: &Query) -> Vec<CauseRow> {
        let mut rows: Vec<CauseRow> = Vec::new();
        for row in self.matching(query) {
            let Some((id, text)) = self.cause_of(row) else {
                continue;
            };
            if let Some(known) = rows.iter_mut().find(|known| known.id.0 == id) {
                known.count += 1;
                continue;
            }
            rows.push(CauseRow {
                id: CauseId(id),
                count: 1,
                code: Some(451),
                enhanced_code: Some("4.7.1".into()),
                text: text.into(),
                server: Some("mx.example:25".into()),
                phase: Some("rcpt".into()),
                first_seen: at("2026-11-20T08:04:00Z"),
                last_seen: at("2026-11-22T15:31:00Z"),
                sample: row.id,
            });
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        rows
    }

    fn cause_of(&self, row: &Row) -> Option<(i64, String)> {
        if row.state.status() == Status::Sent {
            return None;
        }
        if let Some(cause) = self.causes.get(&row.id.0) {
            return Some(cause.clone());
        }
        match row.state.status() {
            Status::Failed => Some((1, "451 4.7.1 greylisted, try again in N seconds".to_owned())),
            Status::Error => Some((2, "550 5.1.1 no such user here".to_owned())),
            _ => None,
        }
    }

    fn content(&self, id: ReceiverId) -> Content {
        self.contents.get(&id.0).cloned().unwrap_or_else(|| Content {
            subject: SUBJECTS[id.0 as usize % SUBJECTS.len()].1.to_owned(),
            body: Body::Parts {
                text: "Hello,\n\nthere is news on Assignment 7.\n\nYours, the machine".to_owned(),
                html: Some(
                    "<h1>Hello</h1><p>There is <b>news</b> on <a href=\"https://uni.example/7\">Assignment 7</a>.</p>"
                        .to_owned(),
                ),
            },
        })
    }

    pub(super) fn targeted(&self, target: &Target) -> Vec<&Row> {
        match target {
            Target::Query(query) => self.matching(query).collect(),
            Target::Except(query, except) => self
                .matching(query)
                .filter(|row| !except.contains(&row.id))
                .collect(),
            Target::Ids(ids) => ids
                .iter()
                .filter_map(|id| self.receivers.get(&id.0))
                .map(|detail| &detail.row)
                .collect(),
        }
    }
}

impl Source for Memory {
    fn answer(&mut self, question: &Question) -> Result<Answer, String> {
        self.answered += 1;
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if let (Some(error), Question::Window(_)) = (&self.unreadable, question) {
            return Err(error.clone());
        }
        Ok(match question {
            Question::Version => Answer::Version(Some(self.version)),
            Question::Window(question) => Answer::Window(self.window(question)),
            Question::Overview(_) => {
                let mut counts = Counts::default();
                for detail in self.receivers.values() {
                    counts.by_state[usize::from(detail.row.state.number())] += 1;
                }
                Answer::Overview {
                    counts: Box::new(counts),
                    backends: self.backends.clone(),
                    unserved: self.unserved.map(Box::new),
                    traffic: self.traffic.clone(),
                }
            }
            Question::Causes(query) => Answer::Causes(self.causes(query)),
            Question::Failures(backends) => {
                let of = |name: &Text| {
                    let email = self.causes(&Query::default());
                    if name.raw() == "email" {
                        email
                    } else {
                        Vec::new()
                    }
                };
                Answer::Failures(backends.iter().map(of).collect())
            }
            Question::Detail(id) => {
                Answer::Detail(self.receivers.get(&id.0).cloned().map(Box::new))
            }
            Question::Content { id, part, width } => {
                let detail = self.receivers.get(&id.0);
                let said = self.content(*id);
                Answer::Content(detail.map(|detail| content::read(detail, &said, *part, *width)))
            }
            Question::Raw { id, piece } => {
                let there = self.receivers.contains_key(&id.0);
                let bytes = there.then(|| content::raw(&self.content(*id), *piece));
                Answer::Raw(bytes.flatten())
            }
            Question::Find { page, words } => Answer::Find(page.find(words)),
            Question::Range {
                query,
                sort,
                from,
                to,
            } => {
                let within = |row: &&Row| {
                    let place = Place::from(*row);
                    sort.compare(from, &place).is_le() && sort.compare(&place, to).is_le()
                };
                let rows = self.sorted(query, *sort).into_iter().filter(within);
                Answer::Range(rows.map(|row| row.id).take(RANGE_CAP + 1).collect())
            }
            Question::Ends { query, sort } => {
                let rows = self.sorted(query, *sort);
                let ends = rows.first().zip(rows.last());
                Answer::Ends(
                    ends.map(|(first, last)| Box::new((Place::from(*first), Place::from(*last)))),
                )
            }
            Question::Scan { .. } => Answer::Scan(self.scan.clone()),
            Question::Words => Answer::Words(self.words()),
            Question::Affected { target, .. } => {
                let mut reach = Reach::default();
                for row in self.targeted(target) {
                    if self.armed.contains(&row.id.0) {
                        reach.affected.armed += 1;
                    } else {
                        reach.affected.by_status[row.state.status() as usize] += 1;
                        let reason = row.state.reason();
                        reach.unconfirmed += u64::from(reason == Reason::Unconfirmed);
                        reach.held += u64::from(reason == Reason::Held);
                        reach.claimed += u64::from(row.sending);
                        if reach.first.len() < NAMED {
                            reach.first.push(row.clone());
                        }
                    }
                }
                Answer::Affected(reach)
            }
            Question::Marks { marks, query } => {
                let rows = self.targeted(marks);
                Answer::Marks {
                    total: rows.len() as u64,
                    shown: rows.iter().filter(|row| self.matches(query, row)).count() as u64,
                }
            }
            Question::Preview(query) | Question::Facet(query) => {
                let count = self.matching(query).count() as u64;
                Answer::Count(if count >= COUNT_CAP {
                    Count::AtLeast(COUNT_CAP)
                } else {
                    Count::Exact(count)
                })
            }
            Question::Count { query, exact } => {
                let count = self.matching(query).count() as u64;
                Answer::Count(if count >= COUNT_CAP && !exact {
                    Count::AtLeast(COUNT_CAP)
                } else {
                    Count::Exact(count)
                })
            }
        })
    }

    fn interrupter(&self) -> Box<dyn Fn() + Send + Sync> {
        Box::new(|| {})
    }
}

pub(super) fn matches(query: &Query, row: &Row) -> bool {
    query.terms.iter().all(|term| {
        let any = match &term.predicate {
            Predicate::Status(statuses) => statuses.contains(&row.state.status()),
            Predicate::Reason(reasons) => reasons.contains(&row.state.reason()),
            Predicate::Type(types) => types.iter().any(|kind| kind == row.kind.raw()),
            Predicate::Backend(names) => names.iter().any(|name| name == row.backend.raw()),
            Predicate::Language(tags) => tags.iter().any(|tag| tag == row.language.raw()),
            Predicate::User(users) => users
                .iter()
                .any(|user| row.user.as_ref().is_some_and(|name| name.raw() == user)),
            Predicate::Sent(times) => times.iter().any(|when| match *when {
                When::Never => row.sent_at.is_none(),
                When::Any => row.sent_at.is_some(),
                When::Between(from, until) => row.sent_at.is_some_and(|at| {
                    from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
                }),
            }),
            Predicate::Id(ids) => ids.contains(&row.id.0),
            Predicate::Is(what) => what.contains(&Is::Sending) && row.sending,
            Predicate::To(to) => to.iter().any(|to| match to {
                To::Identity(identity) => identity == row.identity.raw(),
                To::Domain(domain) => row.identity.raw().ends_with(&format!("@{domain}")),
            }),
            Predicate::Words(words) => words.iter().any(|word| {
                row.subject.raw().contains(word)
                    || row.identity.raw().contains(word)
                    || row
                        .user
                        .as_ref()
                        .is_some_and(|user| user.raw().contains(word))
            }),
            Predicate::Key(keys) => keys
                .iter()
                .any(|key| key.eq_ignore_ascii_case(row.message_key.raw())),
            Predicate::Subject(words) => words.iter().any(|word| row.subject.raw().contains(word)),
            Predicate::Failed(counts) => counts
                .iter()
                .any(|range| range.contains(&i64::from(row.failed_count))),
            Predicate::Delivery(reports) => {
                row.delivery.is_some_and(|report| reports.contains(&report))
            }
            // Nobody here was tried with a code, and all were made in the same minute.
            Predicate::Code(_) | Predicate::Created(_) => false,
            other @ Predicate::Cause(_) => panic!("the store in memory does not know {other:?}"),
        };
        any != term.negated
    })
}

fn state_of(id: i64) -> State {
    match id {
        _ if id % 25 == 0 => State::Queued,
        _ if id % 10 == 0 => State::Permanent,
        _ if id % 4 == 0 => State::FailedTemporary,
        _ => State::Accepted,
    }
}

pub(super) fn backend(name: &str, state: BackendState, waiting: u64) -> BackendRow {
    BackendRow {
        name: name.into(),
        state,
        since: at("2026-11-22T09:02:00Z"),
        error: Text::default(),
        traceback: Text::default(),
        probe_at: None,
        probe_wait: None,
        waiting,
    }
}

fn receiver(id: i64, state: State) -> Detail {
    let (user, identity, language) = PEOPLE[id as usize % PEOPLE.len()];
    let (kind, subject) = SUBJECTS[id as usize % SUBJECTS.len()];
    let created = at("2026-11-20T08:00:00Z") + chrono::TimeDelta::minutes(id);
    let status = state.status();
    let sent = status == Status::Sent;
    let failed = matches!(status, Status::Failed | Status::Error);
    Detail {
        row: Row {
            id: ReceiverId(id),
            message_id: MessageId(id / 2 + 1),
            message_key: format!("assignment-7-{id}").into(),
            kind: kind.into(),
            created_at: created,
            subject: subject.into(),
            user: Some(user.into()),
            identity: identity.into(),
            backend: "email".into(),
            language: language.into(),
            state,
            failed_count: u32::from(failed),
            sent_count: u32::from(sent),
            sent_at: sent.then_some(created),
            next_attempt_at: state.is_pending().then(|| at("2026-11-22T16:00:00Z")),
            sending: false,
            delivery: None,
        },
        message_status: "sending",
        message_metadata: json!({"group": 25}),
        receiver_metadata: json!({}),
        from: Some("Devilry <no-reply@uni.example>".into()),
        uid: "28b150ef78706d794c6d3eff".into(),
        created_by: Some("admin".into()),
        job: None,
        name: None,
        reply_to: None,
        return_path: None,
        headers: Vec::new(),
        priority: 0,
        send_after: None,
        expires_at: None,
        resend_limit: None,
        unknown_count: 0,
        attempts: match state {
            State::Queued | State::Held => Vec::new(),
            _ => vec![attempt(1, state, created)],
        },
        actions: Vec::new(),
    }
}

fn attempt(number: usize, state: State, at: crate::message::Timestamp) -> Attempt {
    let sent = state.status() == Status::Sent;
    let permanent = state == State::Permanent;
    let (code, enhanced, error) = if permanent {
        (550, "5.1.1", "550 5.1.1 no such user here")
    } else {
        (
            451,
            "4.7.1",
            "451 4.7.1 greylisted, try again in 300 seconds",
        )
    };
    Attempt {
        id: AttemptId(number as i64),
        number,
        started_at: at,
        ended_at: Some(at + chrono::TimeDelta::milliseconds(340)),
        outcome: Some(match (sent, permanent) {
            (true, _) => Outcome::Accepted,
            (false, true) => Outcome::Permanent,
            (false, false) => Outcome::Temporary,
        }),
        code: Some(if sent { 250 } else { code }),
        enhanced_code: Some(if sent { "2.0.0" } else { enhanced }.into()),
        server: Some("mx.example:25".into()),
        phase: Some(if sent { "dot" } else { "rcpt" }.into()),
        error: (!sent).then(|| error.into()),
        cause: None,
        traceback: (!sent).then(|| {
            format!("{error}\n\n  while    naming the recipient (RCPT TO)\n  server   mx.example:25\n\nCaused by:\n  0: refused for now").into()
        }),
        transcript: Some("C: MAIL FROM:<no-reply@uni.example>\nS: 250 2.1.0 ok".into()),
        reply: sent.then(|| "250 2.0.0 ok: queued as 4F2A".into()),
        by: "deliver".into(),
        late: None,
    }
}

/// A second attempt, like the first.
pub(super) fn try_again(memory: &mut Memory, id: i64) {
    if let Some(detail) = memory.receivers.get_mut(&id) {
        let number = detail.attempts.len() + 1;
        detail.attempts.push(attempt(
            number,
            detail.row.state,
            at("2026-11-22T15:00:00Z"),
        ));
        detail.row.failed_count += 1;
        memory.version += 1;
    }
}
