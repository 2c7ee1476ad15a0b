//! The delivery module: the only thing that sends, whoever asks.

mod backend;

pub use backend::{
    Backend, Batch, Desk, Ended, Failed, Failure, Gateway, Named, NotArmed, Report, SendError,
    Session, Trouble,
};
