//! The JSON Schema (draft 2020-12), for editors and CI. It is generated from [`super::raw`], so both agree.
//!
//! A schema cannot express rules between fields, such as that a cell is in the list. [`super::build`] checks those.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::bounds::MAX_ITEMS;
use super::raw::{RawConfig, RawPolicy, RawTable};
use cellgate_routing::ContentCoding;
use cellgate_routing::PolicyAction;
use cellgate_routing::Reason;
use cellgate_routing::placement::{MAX_CELL_NAME, MAX_CELLS};

/// The configuration's JSON Schema.
#[must_use]
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawConfig>();
    let mut schema = schema.to_value();
    refuse_null(&mut schema);
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.insert("Reject".into(), reject());
        definitions.insert("Use".into(), use_cell());
    }
    schema
}

/// Removes null from the types. schemars makes an `Option` nullable, but an optional field is absent or has a value: an
/// empty field in YAML is usually a mistake.
fn refuse_null(schema: &mut Value) {
    let null = json!({ "type": "null" });
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(options)) = object.get_mut("anyOf")
                && options.contains(&null)
            {
                options.retain(|option| *option != null);
                if let [Value::Object(one)] = options.as_slice() {
                    let one = one.clone();
                    object.remove("anyOf");
                    object.extend(one);
                }
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(refuse_null);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_null),
        _ => {}
    }
}

/// Requires exactly one of these fields.
pub(super) fn one_of(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "required": [name] })).collect()
}

fn reject() -> Value {
    json!({
        "description": "Refuse the request with this status and an RFC 9457 problem document.",
        "type": "object",
        "properties": { "reject": { "type": "integer", "minimum": 400, "maximum": 599 } },
        "required": ["reject"],
        "additionalProperties": false,
    })
}

fn use_cell() -> Value {
    json!({
        "description": "Send the request to this cell; `default` is `placement.default`.",
        "type": "object",
        "properties": { "use": { "type": "string" } },
        "required": ["use"],
        "additionalProperties": false,
    })
}

pub(super) fn content_encodings(_: &mut SchemaGenerator) -> Schema {
    let names = ContentCoding::ALL.map(ContentCoding::name);
    json_schema!({ "type": "array", "maxItems": MAX_ITEMS, "items": { "type": "string", "enum": names } })
}

pub(super) fn cells(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "pattern": format!("^[A-Za-z0-9._-]{{1,{MAX_CELL_NAME}}}$"),
            "not": { "const": "default" },
        },
        "minItems": 1,
        "maxItems": MAX_CELLS,
        "uniqueItems": true,
    })
}

impl JsonSchema for RawPolicy<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let failed = Reason::ALL.iter().filter(|reason| reason.has_policy());
        let properties: Map<_, _> = failed.map(|reason| (reason.label().to_owned(), action(*reason))).collect();
        json_schema!({
            "description": "The action for each reason why a request has no key or no cell.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn action(reason: Reason) -> Value {
    let keywords: Vec<_> = reason.allowed().keywords().collect();
    let mut options = vec![json!({ "$ref": "#/$defs/Reject" }), json!({ "$ref": "#/$defs/Use" })];
    if !keywords.is_empty() {
        options.push(json!({ "enum": keywords }));
    }
    let default = match reason.default_answer() {
        PolicyAction::Reject(status) => json!({ "reject": status }),
        PolicyAction::Pass => json!("pass"),
        PolicyAction::Accept => json!("accept"),
        _ => json!("defer"),
    };
    json!({ "description": reason.text(), "default": default, "anyOf": options })
}

impl<T: JsonSchema> JsonSchema for RawTable<'_, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("TableOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<T>(),
            "propertyNames": { "minLength": 1 },
        })
    }
}
