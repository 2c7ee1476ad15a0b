//! Whom an action means: chosen once, counted, confirmed, and then done to these and no others.
//!
//! A query that is asked again when the answer is "yes" finds others: who was handed over meanwhile, who failed meanwhile. So the numbers are kept, two or
//! three bytes each: a million take a few MiB.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, params_from_iter};

use super::{
    Action, Affected, BackendState, Reader, StoreError, Target, error::corrupt, plan::Plan,
    window::read_state,
};
use crate::message::{Reason, ReceiverId, State, Text};

/// Receivers a look into the store brings.
pub(super) const WINDOW: usize = 5_000;

/// The receivers that an action was found to touch, each with the state it had, newest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    pub(super) action: Action,
    would: Affected,
    claimed: u64,
    missing: Vec<ReceiverId>,
    first: i64,
    last: i64,
    /// For each the distance from the one before (LEB128), and the state.
    bytes: Vec<u8>,
}

impl Chosen {
    fn new(action: Action) -> Self {
        Self {
            action,
            would: Affected::default(),
            claimed: 0,
            missing: Vec::new(),
            first: 0,
            last: 0,
            bytes: Vec::new(),
        }
    }

    /// What the action would touch, and what it would leave alone.
    pub fn would(&self) -> &Affected {
        &self.would
    }

    /// What is to be done to them.
    pub fn action(&self) -> Action {
        self.action
    }

    /// How many of those it would touch an engine has claimed, and not begun to send: it lets go of them.
    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    /// Of the numbers that were named, those that are no receiver's, in order.
    pub fn missing(&self) -> &[ReceiverId] {
        &self.missing
    }

    /// How many of those it would touch have this reason.
    pub fn having(&self, reason: Reason) -> u64 {
        self.iter()
            .filter(|(_, state)| state.reason() == reason)
            .count() as u64
    }

    /// The first of those it would touch, newest first.
    pub fn first(&self, most: usize) -> Vec<ReceiverId> {
        self.iter().take(most).map(|(id, _)| id).collect()
    }

    fn push(&mut self, id: ReceiverId, state: State) {
        if self.bytes.is_empty() {
            (self.first, self.last) = (id.0, id.0);
        }
        let mut distance = self.last.abs_diff(id.0);
        self.last = id.0;
        while distance >= 0x80 {
            self.bytes.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        self.bytes.extend([distance as u8, state.number()]);
    }

    /// Newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ReceiverId, State)> + '_ {
        let (mut bytes, mut id) = (self.bytes.iter(), self.first);
        std::iter::from_fn(move || {
            let (mut distance, mut shift) = (0_i64, 0);
            loop {
                let byte = *bytes.next()?;
                distance |= i64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            id -= distance;
            let state = State::from_number(i64::from(*bytes.next()?))?;
            Some((ReceiverId(id), state))
        })
    }
}

impl Reader {
    /// Finds and counts what an action would touch.
    pub fn choose(&self, action: Action, target: &Target) -> Result<Chosen, StoreError> {
        self.run(|conn| {
            let mut chosen = Chosen::new(action);
            let mut walk = Walk::new(target);
            while let Some(ids) = walk.next(conn)? {
                let mut found = HashSet::with_capacity(ids.len());
                let mut statement = conn.prepare_cached(
                    "SELECT id, state, phase IS 2, engine IS NOT NULL FROM receiver WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
                )?;
                let mut rows = statement.query([id_list(ids.iter().copied())])?;
                while let Some(row) = rows.next()? {
                    let (id, state) = (ReceiverId(row.get(0)?), read_state(row, 1)?);
                    found.insert(id);
                    if row.get::<_, bool>(2)? {
                        chosen.would.armed += 1;
                    } else if action.applies_to(state) {
                        chosen.would.touch(state);
                        chosen.claimed += u64::from(row.get::<_, bool>(3)?);
                        chosen.push(id, state);
                    } else {
                        chosen.would.not_applicable += 1;
                    }
                }
                if let Target::Ids(_) = target {
                    let missing = ids.into_iter().filter(|id| !found.contains(id));
                    chosen.missing.extend(missing);
                }
            }
            chosen.missing.sort_unstable();
            Ok(chosen)
        })
    }

    /// What an action would touch.
    pub fn affected(&self, action: Action, target: &Target) -> Result<Affected, StoreError> {
        self.choose(action, target).map(|chosen| chosen.would)
    }
}

impl Reader {
    /// Over which paused backends some of the chosen go, and how many: nobody sends these until it is resumed.
    pub fn paused_of(&self, chosen: &Chosen) -> Result<Vec<(Text, u64)>, StoreError> {
        let mut paused = BTreeMap::new();
        let backends = self.backends()?;
        if backends
            .iter()
            .all(|backend| backend.state != BackendState::Paused)
        {
            return Ok(Vec::new());
        }
        let mut chosen = chosen.iter();
        loop {
            let some: Vec<_> = chosen.by_ref().take(WINDOW).map(|(id, _)| id).collect();
            if some.is_empty() {
                let named = paused.into_iter().map(|(name, n)| (Text::from(name), n));
                return Ok(named.collect());
            }
            self.run(|conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT backend.name, count(*) FROM receiver JOIN backend ON backend.id = backend_id
                     WHERE paused AND receiver.id IN (SELECT value FROM json_each(?)) GROUP BY backend.name",
                )?;
                let mut rows = statement.query([id_list(some)])?;
                while let Some(row) = rows.next()? {
                    *paused.entry(row.get::<_, String>(0)?).or_default() += row.get::<_, i64>(1)? as u64;
                }
                Ok(())
            })?;
        }
    }
}

impl Affected {
    /// Counts one that is touched.
    pub(super) fn touch(&mut self, state: State) {
        self.by_status[state.status() as usize] += 1;
        self.unconfirmed += u64::from(state.reason() == Reason::Unconfirmed);
    }
}

/// Walks a target from the newest receiver to the oldest.
enum Walk<'a> {
    Query {
        target: &'a crate::query::Query,
        except: HashSet<ReceiverId>,
        below: i64,
    },
    Ids(Vec<ReceiverId>),
}

impl<'a> Walk<'a> {
    fn new(target: &'a Target) -> Self {
        let by_query = |target, except: &[ReceiverId]| Self::Query {
            target,
            except: except.iter().copied().collect(),
            below: i64::MAX,
        };
        match target {
            Target::Query(query) => by_query(query, &[]),
            Target::Except(query, except) => by_query(query, except),
            Target::Ids(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                Self::Ids(ids)
            }
        }
    }

    /// The next ones; `None` at the end.
    fn next(&mut self, conn: &Connection) -> rusqlite::Result<Option<Vec<ReceiverId>>> {
        match self {
            Self::Ids(ids) => {
                let rest = ids.len().saturating_sub(WINDOW);
                let window = ids.split_off(rest);
                Ok((!window.is_empty()).then_some(window))
            }
            Self::Query {
                target,
                except,
                below,
            } => {
                let mut plan = Plan::new(conn, target)?;
                let (bound, limit) = (format!("< {}", plan.bind(*below)), plan.bind(WINDOW as i64));
                let mut found: Vec<ReceiverId> = conn
                    .prepare(&plan.ids(Some(&bound), true, &limit))?
                    .query_map(params_from_iter(&plan.values), |row| {
                        Ok(ReceiverId(row.get(0)?))
                    })?
                    .collect::<Result<_, _>>()?;
                let Some(last) = found.last() else {
                    return Ok(None);
                };
                if last.0 >= *below {
                    return Err(corrupt());
                }
                *below = last.0;
                found.retain(|id| !except.contains(id));
                Ok(Some(found))
            }
        }
    }
}

/// Numbers as SQLite's `json_each` takes them.
pub(super) fn id_list(ids: impl IntoIterator<Item = ReceiverId>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&id.0.to_string());
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_chosen_is_read_back(
            ids in prop::collection::btree_set(1..i64::MAX, 0..50), states in prop::collection::vec(0..14_i64, 50),
        ) {
            let all: Vec<_> = ids.into_iter().rev().zip(states)
                .map(|(id, state)| (ReceiverId(id), State::from_number(state).unwrap()))
                .collect();
            let mut chosen = Chosen::new(Action::Hold);
            for (id, state) in &all {
                chosen.push(*id, *state);
            }
            prop_assert_eq!(chosen.iter().collect::<Vec<_>>(), all);
        }
    }
}
