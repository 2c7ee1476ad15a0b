//! Jobs: asked for, confirmed, running, over.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{Out, marks, overview, refresh};
use crate::{
    console::{
        courier::tally_in_words,
        effect::{Effect, JobId, JobNews, Order, Outcome, Save},
        question::{Question, Reach, Sort},
        state::{Confirm, Job, Notice, Overlay, Phase, State},
        text::{counted, grouped},
    },
    store::{Action, CauseRow, Row, Target},
};

/// Asks whether to do something to the marks, or to the cursor's receiver.
pub(super) fn propose(state: &mut State, action: Action, out: &mut Out) {
    if state.range.is_some() && !marks::end_range(state, out) {
        return;
    }
    let Some(target) = state.target() else {
        return;
    };
    let only = if state.marks.is_empty() {
        state.current().cloned().map(Box::new)
    } else {
        None
    };
    ask(state, action, target, only, None, out);
}

/// Asks whether to do something to all receivers that a cause counts.
pub(super) fn propose_for(
    state: &mut State,
    action: Action,
    target: Target,
    cause: Option<Box<CauseRow>>,
    out: &mut Out,
) {
    ask(state, action, target, None, cause, out);
}

fn ask(
    state: &mut State,
    action: Action,
    target: Target,
    only: Option<Box<Row>>,
    cause: Option<Box<CauseRow>>,
    out: &mut Out,
) {
    out.ask(
        state,
        Question::Affected {
            action,
            target: target.clone(),
        },
    );
    let order = Order {
        action,
        target,
        chosen: None,
    };
    state.overlay = Some(Overlay::Confirm(Confirm::Order {
        order,
        reach: None,
        only,
        cause,
        typed: String::new(),
    }));
    out.draw();
}

/// What the proposed action would touch.
pub(super) fn take_reach(state: &mut State, answer: Reach, out: &mut Out) {
    let Some(Overlay::Confirm(Confirm::Order { order, reach, .. })) = &mut state.overlay else {
        return;
    };
    let affected = &answer.affected;
    if affected.total() == 0 {
        let name = order.action.name();
        let why = match (affected.armed, affected.not_applicable) {
            (0, 0) => "none of them is in the store any more".to_owned(),
            (0, other) => {
                let why = order.action.left_alone();
                format!("{} {why}", counted(other, "receiver"))
            }
            (armed, _) => format!("{} being sent right now", counted(armed, "receiver")),
        };
        state.overlay = None;
        state.hint = Some(Notice::bad(&format!("nothing to {name}: {why}")));
    } else {
        order.chosen.clone_from(&answer.chosen);
        *reach = Some(answer);
    }
    out.draw();
}

/// A digit of the number that is to be typed, or the last one taken back. Whether anything changed.
pub(super) fn type_number(confirm: &mut Confirm, key: KeyEvent) -> bool {
    let wanted = confirm.to_be_typed();
    let (Confirm::Order { typed, .. }, Some(wanted)) = (confirm, wanted) else {
        return false;
    };
    match key.code {
        KeyCode::Char(digit) if digit.is_ascii_digit() => {
            let room = typed.len() < wanted.to_string().len();
            typed.extend(room.then_some(digit));
            room
        }
        KeyCode::Backspace => typed.pop().is_some(),
        _ => false,
    }
}

/// The operator said yes.
pub(super) fn confirm(state: &mut State, out: &mut Out) {
    // Nobody can say yes to what is not yet on the screen.
    let unsaid = match &state.overlay {
        Some(Overlay::Confirm(confirm)) => {
            !confirm.is_typed() || (confirm.is_of_marks() && state.marked().is_none())
        }
        _ => false,
    };
    if unsaid {
        return;
    }
    match state.overlay.take() {
        Some(Overlay::Confirm(Confirm::Quit)) => {
            out.0.push(Effect::Quit);
        }
        Some(Overlay::Confirm(Confirm::Overwrite(save))) => {
            out.0.push(Effect::Save(Save {
                overwrite: true,
                ..save
            }));
            out.draw();
        }
        Some(Overlay::Confirm(Confirm::Pause { backend, pause, .. })) => {
            overview::order(backend, pause, out);
        }
        Some(Overlay::Confirm(Confirm::Order {
            order,
            reach: Some(reach),
            only,
            cause,
            ..
        })) => {
            state.last_job += 1;
            let id = state.last_job;
            state.report = None;
            state.jobs.push(Job {
                id,
                order: order.clone(),
                expected: reach.affected.total(),
                phase: Phase::Marking(0),
                stopping: false,
            });
            if only.is_none() && cause.is_none() {
                // They are on their way: pressing the key again must not send them again.
                marks::none(state, out);
            }
            out.0.push(Effect::Start(id, order));
            out.draw();
        }
        other => state.overlay = other,
    }
}

/// The operator said no.
pub(super) fn refuse(state: &mut State, out: &mut Out) {
    state.overlay = None;
    state.asks.forget(Sort::Affected);
    out.draw();
}

/// Stops the job that began last.
pub(super) fn stop(state: &mut State, out: &mut Out) {
    if let Some(job) = state.jobs.iter_mut().rev().find(|job| !job.stopping) {
        job.stopping = true;
        out.0.push(Effect::Stop(job.id));
        out.draw();
    }
}

/// Ends the console, or asks whether to while something is running.
pub(super) fn quit(state: &mut State, out: &mut Out) {
    if state.jobs.is_empty() {
        out.0.push(Effect::Quit);
    } else {
        state.overlay = Some(Overlay::Confirm(Confirm::Quit));
        out.draw();
    }
}

/// A job has gone on.
pub(super) fn take(state: &mut State, id: JobId, news: JobNews, out: &mut Out) {
    let Some(index) = state.jobs.iter().position(|job| job.id == id) else {
        return;
    };
    match news {
        JobNews::Marked(affected) => state.jobs[index].phase = Phase::Marking(affected.total()),
        JobNews::Delivered { done, total } => {
            state.jobs[index].phase = Phase::Delivering(done, total);
        }
        JobNews::Finished(result) => {
            let job = state.jobs.remove(index);
            state.hint = None;
            state.report = Some(told(&job.order, &result));
        }
    }
    refresh(state, out);
    out.draw();
}

/// What a job came to, in a sentence.
pub fn told(order: &Order, result: &Result<Outcome, String>) -> Notice {
    let name = order.action.name();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => return Notice::bad(&format!("{name} failed: {error}")),
    };
    let mut parts = Vec::new();
    let mut bad = false;
    match &outcome.tally {
        Some(tally) => (parts, bad) = tally_in_words(tally),
        // Which of them were accepted the service knows; here it is known that they are no longer due.
        None if order.action == Action::Resend => {
            let all = outcome.affected.total();
            let tried = all.saturating_sub(outcome.held + outcome.left + outcome.taken);
            parts.push(format!("{} tried by the service", grouped(tried)));
        }
        None => parts.push(counted(outcome.affected.total(), "receiver")),
    }
    if outcome.held > 0 {
        parts.push(format!(
            "{} held (is:held shows them)",
            grouped(outcome.held)
        ));
    }
    if outcome.taken > 0 {
        bad = true;
        parts.push(format!(
            "{} not tried by this resend: held, cancelled, deleted or resent by others",
            grouped(outcome.taken)
        ));
    }
    if outcome.affected.armed > 0 {
        parts.push(format!(
            "{} left alone, being sent at that moment",
            grouped(outcome.affected.armed)
        ));
    }
    if outcome.affected.changed > 0 {
        parts.push(format!(
            "{} left alone, changed meanwhile",
            grouped(outcome.affected.changed)
        ));
    }
    if let Some(waiting) = &outcome.waiting {
        bad = true;
        parts.push(waiting.clone());
    }
    let stopped = if outcome.held > 0 { " stopped" } else { "" };
    let text = format!("{name}{stopped}: {}", parts.join(", "));
    if bad {
        Notice::bad(&text)
    } else {
        Notice::good(&text)
    }
}
