//! The cases, by topic.

mod aborts;
mod contents;
mod encodings;
mod faults;
mod frames;
mod lengths;
mod messages;
mod neighbours;
mod protocols;
mod service_failures;
mod upstream;

use crate::case::Case;

/// A section of the document.
#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) title: &'static str,
    /// The paragraph above its table.
    pub(crate) text: &'static str,
    pub(crate) cases: Vec<Case>,
}

/// All cases.
pub(crate) fn topics() -> Vec<Topic> {
    vec![
        frames::topic(),
        lengths::topic(),
        contents::topic(),
        encodings::topic(),
        aborts::topic(),
        upstream::topic(),
        service_failures::topic(),
        neighbours::topic(),
        protocols::topic(),
        faults::topic(),
        messages::topic(),
        messages::agentgateway(),
    ]
}
