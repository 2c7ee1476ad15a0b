//! The store compared with what the server knows, when nothing is due any more.

use postroom::{
    demo::server::Server,
    message::{Outcome, Reason, Status},
};

use super::Postroom;

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Books {
    pub receivers: usize,
    /// Error, unconfirmed: an operator decides.
    pub in_doubt: usize,
    /// Copies beyond the first of a receiver; each is an attempt of unknown end.
    pub extra_copies: usize,
}

/// Nobody is lost: each is Sent, and the server has it, or is in doubt, and the store says so. No receiver got more than `most` copies, and each copy is
/// an attempt that was accepted or whose end is unknown.
pub fn assert_explained(postroom: &Postroom, server: &Server, most: usize) -> Books {
    let mut books = Books::default();
    server.with_ledger(|ledger| {
        assert_eq!(ledger.violations, [""; 0]);
        for detail in postroom.details() {
            let copies = ledger.to(detail.row.identity.raw()).count();
            let of = |outcome| {
                let attempts = detail.attempts.iter();
                attempts
                    .filter(|attempt| attempt.outcome == Some(outcome))
                    .count()
            };
            let (accepted, unknown) = (of(Outcome::Accepted), of(Outcome::Unknown));
            let state = detail.row.state;
            match (state.status(), state.reason()) {
                (Status::Sent, Reason::Accepted) => assert!(
                    accepted == 1 && copies >= 1,
                    "called Sent, and nobody accepted it: {detail:#?}"
                ),
                (Status::Error, Reason::Unconfirmed) => assert!(unknown >= 1, "{detail:#?}"),
                _ => panic!("neither sent nor in doubt: {detail:#?}"),
            }
            assert!(copies <= most, "{copies} copies: {detail:#?}");
            assert!(
                copies <= accepted + unknown,
                "{copies} copies, and nothing explains them: {detail:#?}"
            );
            assert!(!detail.row.sending, "{detail:#?}");
            books.receivers += 1;
            books.in_doubt += usize::from(state.status() == Status::Error);
            books.extra_copies += copies.saturating_sub(1);
        }
    });
    books
}
