use std::fmt;

use serde::Serialize;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A message's number in the store; never given twice.
    MessageId,
    /// A receiver's number in the store; never given twice.
    ReceiverId,
    /// An attempt's number in the store; never given twice.
    AttemptId,
    /// A cause's number in the store; never given twice.
    CauseId,
    /// A content's number in the store.
    ContentId,
    /// The number of one resend by an operator.
    JobId,
}
