//! The store compared with what the server knows, when nothing is due any more.

use postroom::{
    demo::server::Server,
    message::{Outcome, Reason, Status},
};

use super::Postroom;

/// Nobody is lost: each is Sent, and the server has it, or is in doubt, and the store says so. No receiver got more than `most` copies, and each copy is
/// an attempt that was accepted or whose end is unknown.
pub fn assert_explained(postroom: &Postroom, server: &Server, most: usize) {
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
        }
    });
}
