//! The console: a ratatui application over the store.
//!
//! [`update`](update::update) turns an [`Event`](effect::Event) and the [`State`](state::State) into the next state and a list of
//! [`Effect`](effect::Effect)s; [`view`](view::view) draws a state. Neither does I/O. The runtime executes the effects: threads that
//! answer questions from the store, threads that deliver, the terminal. What keys mean is data ([`action`]), and so are the columns
//! ([`column`]) and the looks ([`theme`]).

pub mod action;
pub mod clock;
pub mod column;
pub mod detail;
pub mod effect;
pub mod layout;
pub mod query_line;
pub mod question;
pub mod state;
mod text;
pub mod theme;
pub mod update;
pub mod view;
