//! The log line of a panic, before the VM stops.

use std::any::Any;
use std::panic::Location;

/// The place, and the message if it is a constant. A formatted message may contain request data, which is never logged.
pub(crate) fn line(payload: &dyn Any, location: Option<&Location<'_>>) -> String {
    let message =
        payload.downcast_ref::<&'static str>().copied().unwrap_or("message not shown, as it may contain request data");
    let place = location.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("cellgate: panicked at {place}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_message_is_shown_with_its_place() {
        let line = line(&"no cell", Some(Location::caller()));
        assert!(line.contains("panic.rs:") && line.ends_with(": no cell"), "{line}");
    }

    #[test]
    fn a_formatted_message_is_not_shown() {
        let line = line(&"byte index 1 is inside `s3cr3t`".to_owned(), None);
        assert_eq!(line, "cellgate: panicked at an unknown place: message not shown, as it may contain request data");
    }
}
