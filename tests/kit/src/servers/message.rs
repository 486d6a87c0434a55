//! Messages as tests see them.

use lapin::{
    message::BasicGetMessage,
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One message from a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The exchange it was published to; empty for the default one.
    pub exchange: String,
    /// The routing key it was published with.
    pub routing_key: String,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// The headers, as JSON where AMQP has more types.
    pub headers: BTreeMap<String, Value>,
    /// Property `message_id`.
    pub message_id: Option<String>,
    /// Property `type`.
    pub type_: Option<String>,
    /// Property `content_type`.
    pub content_type: Option<String>,
    /// Property `app_id`.
    pub app_id: Option<String>,
    /// Property `correlation_id`.
    pub correlation_id: Option<String>,
    /// Property `delivery_mode`: 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// Property `timestamp`, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// The body, unparsed.
    pub body: Vec<u8>,
}

impl Message {
    /// The body as JSON; panics, showing the body, if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("no JSON ({error}): {}", String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn from_amqp(message: BasicGetMessage) -> Self {
        let delivery = message.delivery;
        let properties = &delivery.properties;
        let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
        Self {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            redelivered: delivery.redelivered,
            headers: properties
                .headers()
                .as_ref()
                .map(from_table)
                .unwrap_or_default(),
            message_id: text(properties.message_id()),
            type_: text(properties.kind()),
            content_type: text(properties.content_type()),
            app_id: text(properties.app_id()),
            correlation_id: text(properties.correlation_id()),
            delivery_mode: *properties.delivery_mode(),
            timestamp: *properties.timestamp(),
            body: delivery.data,
        }
    }
}

/// Headers for publishing.
pub(crate) fn to_table(headers: &[(&str, Value)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), to_amqp(value));
    }
    table
}

fn from_table(table: &FieldTable) -> BTreeMap<String, Value> {
    table
        .inner()
        .iter()
        .map(|(name, value)| (name.to_string(), from_value(value)))
        .collect()
}

fn from_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Float(value) => (*value).into(),
        AMQPValue::Double(value) => (*value).into(),
        AMQPValue::DecimalValue(value) => {
            (f64::from(value.value) / 10_f64.powi(value.scale.into())).into()
        }
        AMQPValue::ShortString(value) => value.to_string().into(),
        AMQPValue::LongString(value) => value.to_string().into(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(from_value).collect(),
        AMQPValue::Timestamp(value) => (*value).into(),
        AMQPValue::FieldTable(table) => from_table(table).into_iter().collect(),
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into(),
        AMQPValue::Void => Value::Null,
    }
}

fn to_amqp(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => {
            AMQPValue::FieldArray(values.iter().map(to_amqp).collect::<Vec<_>>().into())
        }
        Value::Object(fields) => {
            let mut table = FieldTable::default();
            for (name, value) in fields {
                table.insert(name.as_str().into(), to_amqp(value));
            }
            AMQPValue::FieldTable(table)
        }
    }
}
