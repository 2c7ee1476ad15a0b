//! The store: one SQLite file, the only truth, and the only place with SQL.

mod model;

pub use model::{
    Action, Affected, Anchor, BackendRow, BackendState, Count, Counts, Detail, EngineRow, Row,
    Target,
};
