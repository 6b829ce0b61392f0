//! Proves the JSON Schemas equal to the fields and the signers.

use serde_json::Value;

use crate::transcript::{Field, Group};

const TRANSCRIPT_SCHEMA: &str = "schemas/intake/transcript-1.schema.json";

fn schema(path: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn transcript_schema() -> Value {
    let fields = |group: Group| {
        let properties: serde_json::Map<String, Value> = Field::ALL
            .iter()
            .filter(|field| field.group() == group)
            .map(|field| {
                let value = serde_json::json!({ "$ref": "#/$defs/value" });
                (field.name().to_owned(), value)
            })
            .collect();
        serde_json::json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        })
    };
    let rows = |group: Group| serde_json::json!({ "type": "array", "maxItems": 200, "items": fields(group) });
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:hocba:intake:transcript-1",
        "title": "Transcript: one pupil, one school year",
        "description": "Every value is a string as signed: in NFC, not empty, without spaces around it; what is not known is absent. The signatures of a line stand over the RFC 8785 form.",
        "type": "object",
        "required": ["general"],
        "additionalProperties": false,
        "properties": {
            "general": fields(Group::General),
            "subjects": rows(Group::Subject),
            "history": rows(Group::History),
            "certificates": rows(Group::Certificate),
        },
        "$defs": {
            "value": {
                "type": "string",
                "minLength": 1,
                "maxLength": 20000,
                "pattern": "^\\S([\\s\\S]*\\S)?$",
            },
        },
    })
}

#[test]
fn the_schema_of_a_record_has_exactly_the_fields() {
    let expected = transcript_schema();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TRANSCRIPT_SCHEMA);
        let text = serde_json::to_string_pretty(&expected).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    }
    assert_eq!(schema(TRANSCRIPT_SCHEMA), expected);
    let mut names: Vec<String> = Vec::new();
    for pointer in [
        "/properties/general/properties",
        "/properties/subjects/items/properties",
        "/properties/history/items/properties",
        "/properties/certificates/items/properties",
    ] {
        let properties = expected.pointer(pointer).unwrap().as_object().unwrap();
        names.extend(properties.keys().cloned());
    }
    names.sort();
    let mut fields: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    fields.sort_unstable();
    assert_eq!(names, fields);
}

#[test]
fn the_schema_of_a_line_names_the_signers_of_the_profile() {
    let line = schema("schemas/intake/line-1.schema.json");
    assert_eq!(line["properties"]["record"]["$ref"], "urn:hocba:intake:transcript-1");
    assert_eq!(line["required"], serde_json::json!(["record", "signatures"]));
    let signatures = &line["properties"]["signatures"];
    let text =
        crate::platform::config::Tables::default().read("mappings/signature-profile.toml").unwrap();
    let profile: crate::signature::Profile = toml::from_str(&text).unwrap();
    let mut names: Vec<&str> = profile.signers.iter().map(|rule| rule.tag.as_str()).collect();
    names.sort_unstable();
    let properties = signatures["properties"].as_object().unwrap();
    assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), names);
    let required: Vec<&str> =
        profile.signers.iter().filter(|rule| rule.required).map(|rule| rule.tag.as_str()).collect();
    assert_eq!(signatures["required"], serde_json::json!(required));
}
