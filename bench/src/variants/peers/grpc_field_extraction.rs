//! Envoy's grpc_field_extraction filter, which finds a field of a gRPC message by its name, and a Lua script that sets
//! the routing header from the metadata. The filter itself does not make Envoy select the route again.
//!
//! Its faults:
//! - It needs the descriptors of all services in Envoy's configuration, and each method by name.
//! - It takes the last of two fields, as protobuf does, or all of a repeated one.
//! - It lets a method that is not listed pass.

use envoy_types::pb::google::protobuf::field_descriptor_proto::{Label, Type};
use envoy_types::pb::google::protobuf::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};
use prost::Message;
use serde_json::{Value, json};

use super::lua;
use crate::bootstrap::insert_filter;

/// Inserts both filters before all others.
pub(crate) fn install(bootstrap: &mut Value) {
    lua::install_script(bootstrap, &[include_str!("lua/metadata.lua")]);
    let config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_field_extraction.v3.GrpcFieldExtractionConfig",
        "descriptor_set": {"inline_bytes": base64(&descriptor_set().encode_to_vec())},
        "extractions_by_method": {"bench.Tenants.Put": {"request_field_extractions": {"tenant": {}}}},
    });
    insert_filter(bootstrap, json!({"name": "envoy.filters.http.grpc_field_extraction", "typed_config": config}));
}

/// The descriptor of the service that [`crate::content::Content::Grpc`] calls.
fn descriptor_set() -> FileDescriptorSet {
    let field = |name: &str, number: i32, kind: Type| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        ..FieldDescriptorProto::default()
    };
    let put = DescriptorProto {
        name: Some("Put".to_owned()),
        field: vec![field("tenant", 1, Type::String), field("payload", 2, Type::Bytes)],
        ..DescriptorProto::default()
    };
    let method = MethodDescriptorProto {
        name: Some("Put".to_owned()),
        input_type: Some(".bench.Put".to_owned()),
        output_type: Some(".bench.Put".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Tenants".to_owned()),
        method: vec![method],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("bench.proto".to_owned()),
        package: Some("bench".to_owned()),
        message_type: vec![put],
        service: vec![service],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }
}

/// RFC 4648, 4, as JSON spells bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| -> String {
        let bits =
            (0..3).fold(0_usize, |bits, index| bits << 8 | usize::from(chunk.get(index).copied().unwrap_or_default()));
        let letter = |index: usize| match index {
            _ if index > chunk.len() => '=',
            _ => char::from(ALPHABET.get(bits >> (18 - 6 * index) & 63).copied().unwrap_or(b'=')),
        };
        (0..4).map(letter).collect()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_is_that_of_the_call() {
        let set = descriptor_set();
        let file = &set.file[0];
        let service = &file.service[0];
        let path = format!("/{}.{}/{}", file.package(), service.name(), service.method[0].name());
        assert_eq!(path, crate::content::Content::Grpc.path());
    }

    #[test]
    fn bytes_become_base64() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
