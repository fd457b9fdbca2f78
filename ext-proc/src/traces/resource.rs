//! Whose spans they are: what the variables of OpenTelemetry say, and the program where they say nothing.

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::build;

/// The name of the service, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` has another.
const SERVICE_NAME: &str = "cellgate";

/// The resource of this process. Its `service.instance.id` is that of `OTEL_RESOURCE_ATTRIBUTES`, or a random UUID.
pub(super) fn resource() -> Resource {
    let version = KeyValue::new("service.version", build::VERSION);
    let of_variables = Resource::builder().with_attribute(version.clone()).build();
    let text = |key: &'static str| match of_variables.get(&Key::new(key)) {
        Some(Value::String(text)) if !text.as_str().is_empty() => Some(text),
        _ => None,
    };
    let mut builder = Resource::builder().with_attribute(version);
    // By the specification this variable wins. In the SDK, the attributes do.
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    if let Some(name) = name {
        builder = builder.with_service_name(name);
    } else if text("service.name").is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        // The SDK calls a program without a name so.
        builder = builder.with_service_name(SERVICE_NAME);
    }
    if text("service.instance.id").is_none() {
        builder = builder.with_attribute(KeyValue::new("service.instance.id", random_uuid()));
    }
    builder.build()
}

/// A UUID of version 4 (RFC 9562), which the semantic conventions advise where a process knows no id of its own.
fn random_uuid() -> String {
    let mut bits = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
    bits = (bits & !(0xf << 76)) | (4 << 76);
    bits = (bits & !(0b11 << 62)) | (0b10 << 62);
    let digits = format!("{bits:032x}");
    let mut uuid = String::with_capacity(36);
    for (index, digit) in digits.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uuid_has_version_4_and_is_new_each_time() {
        let uuids: Vec<_> = (0..64).map(|_| random_uuid()).collect();
        for uuid in &uuids {
            let parts: Vec<_> = uuid.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
            assert!(parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit()), "{uuid}");
        }
        assert!(uuids.iter().skip(1).all(|uuid| *uuid != uuids[0]));
    }
}
