//! What the log says of a try that did not succeed: a line for each receiver, none for a success.

use chrono::SecondsFormat;

use crate::{
    message::{Failure, Outcome, ReceiverId},
    store::Next,
};

/// Tells of a result that is written down. Costs nothing where nobody listens at that level.
pub(in crate::delivery) fn not_sent(
    backend: &str,
    receiver: ReceiverId,
    outcome: Outcome,
    failure: &Failure,
    next: &Next,
) {
    // Who waits for a backend waits for its next probe, whatever time stands in the row.
    let due = next.due_at.filter(|_| outcome != Outcome::Backend);
    macro_rules! line {
        ($level:ident, $what:literal) => {
            tracing::$level!(
                receiver = receiver.0,
                backend,
                outcome = outcome.name(),
                code = failure.code,
                enhanced = failure.enhanced.as_deref(),
                status = next.state.status().name(),
                reason = next.state.reason().name(),
                next = due.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
                text = failure.error,
                $what
            )
        };
    }
    if outcome == Outcome::Unknown {
        line!(warn, "it may have arrived");
    } else {
        line!(info, "not sent");
    }
}
