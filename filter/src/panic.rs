//! What is logged of a panic before the VM stops.

use std::any::Any;
use std::panic::Location;

/// One line: where, and what if that is a constant. A message that was put together may hold what the code worked on, and
/// nothing of a request is ever logged.
pub(crate) fn line(payload: &dyn Any, location: Option<&Location<'_>>) -> String {
    let message = payload.downcast_ref::<&'static str>().copied().unwrap_or("its message is not shown");
    let place = location.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("cellgate: panicked at {place}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_shown_with_its_place() {
        let line = line(&"no cell", Some(Location::caller()));
        assert!(line.contains("panic.rs:") && line.ends_with(": no cell"), "{line}");
    }

    #[test]
    fn what_was_put_together_is_not_shown() {
        let line = line(&"byte index 1 is inside `s3cr3t`".to_owned(), None);
        assert_eq!(line, "cellgate: panicked at an unknown place: its message is not shown");
    }
}
