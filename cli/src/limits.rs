//! `cellgate limits` and `log-level`: ask the admin port of a running service, with its token.

mod client;
mod level;
mod report;

pub(crate) use client::{AdminPort, Answer, KeyPart, LimitsError, fetch_key, fetch_list, reset};
pub(crate) use level::{LevelChange, ask_log_level};
pub(crate) use report::{key_text, list_text, reset_text, store_text};
