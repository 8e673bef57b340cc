//! Values of a record, and their bytes.
//!
//! Must not know which operation is sent, or sockets.

use crate::schema::{Field, Type, fields, op};

/// What a field is set to. Whether a number takes four bytes or eight, the schema knows.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

/// A list of values: `args!["/a", b"one", -1]`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::value::Value::from($value)),*] };
}
pub(crate) use args;

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Bytes(value.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Vec<Self>> for Value {
    fn from(values: Vec<Self>) -> Self {
        Self::List(values)
    }
}

/// An ACL of one entry.
pub(crate) fn acl(perms: i32, scheme: &str, id: &str) -> Value {
    args![args![perms, args![scheme, id]]].into()
}

/// The ACL that allows everything to everybody.
pub(crate) fn open() -> Value {
    acl(31, "world", "anyone")
}

/// An item of a multi: the operation and its record.
pub(crate) fn item(name: &str, values: Vec<Value>) -> Value {
    args![name, values].into()
}

/// The body of a request. Fewer values than fields give a body that ends early.
pub(crate) fn request(name: &str, values: impl AsRef<[Value]>) -> Vec<u8> {
    let record = op(name).request;
    if record == "multi" {
        return multi(values.as_ref());
    }
    encode(record, values)
}

/// The end of a multi.
const END: [u8; 9] = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];

fn multi(items: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        let Value::List(item) = item else { panic!("an item of a multi is a name and values: {item:?}") };
        let [Value::Bytes(name), Value::List(values)] = &item[..] else { panic!("a name and values: {item:?}") };
        let op = op(str::from_utf8(name).expect("a name"));
        out.extend(encode("MultiHeader", args![op.code, false, -1]));
        out.extend(encode(op.request, values));
    }
    out.extend(END);
    out
}

/// The bytes of a record, or of its first fields.
pub(crate) fn encode(record: &str, values: impl AsRef<[Value]>) -> Vec<u8> {
    let (fields, values) = (fields(record), values.as_ref());
    assert!(values.len() <= fields.len(), "{record} has {} fields: {values:?}", fields.len());
    let mut out = Vec::new();
    for (Field { ty, .. }, value) in fields.iter().zip(values) {
        put(ty, value, &mut out);
    }
    out
}

fn put(ty: &Type, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (Type::Bool, Value::Bool(value)) => out.push((*value).into()),
        (Type::Int, Value::Number(value)) => {
            out.extend(i32::try_from(*value).expect("fits an int").to_be_bytes());
        }
        (Type::Long, Value::Number(value)) => out.extend(value.to_be_bytes()),
        (Type::Buffer | Type::Str | Type::List(_), Value::Null) => out.extend((-1_i32).to_be_bytes()),
        (Type::Buffer | Type::Str, Value::Bytes(bytes)) => {
            count(bytes.len(), out);
            out.extend(bytes);
        }
        (Type::List(item), Value::List(values)) => {
            count(values.len(), out);
            values.iter().for_each(|value| put(item, value, out));
        }
        (Type::Record(record), Value::List(values)) => out.extend(encode(record, values)),
        (ty, value) => panic!("{value:?} is no {ty:?}"),
    }
}

fn count(len: usize, out: &mut Vec<u8>) {
    out.extend(i32::try_from(len).expect("a short list").to_be_bytes());
}
