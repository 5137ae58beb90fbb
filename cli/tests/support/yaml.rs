//! Reads YAML as JSON, which tests can search by pointers.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

/// The documents of a file.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    documents.iter().map(json).collect()
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(it)) => (*it).into(),
        Yaml::Value(Scalar::Integer(it)) => (*it).into(),
        Yaml::Value(Scalar::FloatingPoint(it)) => it.into_inner().into(),
        Yaml::Value(Scalar::String(it)) => it.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                let key = key.as_str().expect("a key is a string").to_owned();
                (key, json(value))
            });
            Value::Object(fields.collect())
        }
        other => panic!("unexpected YAML: {other:?}"),
    }
}
