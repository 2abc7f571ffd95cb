//! A row as a line of text: `["table",[…]]`, JSON. Bytes are an object with hexadecimal digits, so that nothing is taken for
//! something else. Equal rows are equal lines, on every engine.

use serde_json::{Value as Json, json};
use syncferry_store::portable::{Kind, Row, Shape, Value};

/// The line of a row, without its end.
pub fn line(table: &str, row: &Row) -> String {
    let values: Vec<Json> = row.iter().map(written).collect();
    json!([table, values]).to_string()
}

/// The table and the row of a line, or what is wrong with it.
pub fn read(line: &str, shapes: &[Shape]) -> Result<(usize, Row), String> {
    let (name, values): (String, Vec<Json>) =
        serde_json::from_str(line).map_err(|e| format!("a row cannot be read: {e}"))?;
    let found = shapes.iter().enumerate().find(|(_, s)| s.name == name);
    let (table, shape) = found.ok_or_else(|| format!("a row of an unknown table '{name}'"))?;
    if values.len() != shape.columns.len() {
        return Err(format!(
            "a row of {name} has {} values, not {}",
            values.len(),
            shape.columns.len()
        ));
    }
    let typed = values.into_iter().zip(&shape.columns);
    let row: Result<Row, String> = typed
        .map(|(v, (column, kind))| value(v, *kind).ok_or_else(|| format!("{name}.{column} is not {}", kind.as_str())))
        .collect();
    Ok((table, row?))
}

fn written(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(n) => json!(n),
        Value::Text(t) => json!(t),
        Value::Bytes(b) => json!({"hex": hex(b)}),
    }
}

fn value(json: Json, kind: Kind) -> Option<Value> {
    match (json, kind) {
        (Json::Null, _) => Some(Value::Null),
        (Json::Number(n), Kind::Int) => n.as_i64().map(Value::Int),
        (Json::String(t), Kind::Text) => Some(Value::Text(t)),
        (Json::Object(o), Kind::Bytes) => o.get("hex").and_then(Json::as_str).and_then(unhex).map(Value::Bytes),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{b:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !text.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let shape = Shape {
            name: "job".into(),
            columns: vec![
                ("a".into(), Kind::Int),
                ("b".into(), Kind::Text),
                ("c".into(), Kind::Bytes),
            ],
            key: vec![0],
        };
        let shapes = [shape];
        for row in [
            vec![
                Value::Int(i64::MIN),
                Value::Text("\u{0}\"\n{\"hex\":\"00\"}".into()),
                Value::Bytes(vec![0, 255, 10]),
            ],
            vec![Value::Int(i64::MAX), Value::Text(String::new()), Value::Bytes(vec![])],
            vec![Value::Null, Value::Null, Value::Null],
        ] {
            let line = line("job", &row);
            assert!(!line.contains('\n'));
            assert_eq!(read(&line, &shapes), Ok((0, row)));
        }
        for wrong in [
            "",
            "{}",
            r#"["jobs",[1,"x",null]]"#,
            r#"["job",[1]]"#,
            r#"["job",["1","x",null]]"#,
            r#"["job",[1,"x",{"hex":"0"}]]"#,
            r#"["job",[1.5,"x",null]]"#,
        ] {
            assert!(read(wrong, &shapes).is_err(), "{wrong}");
        }
    }
}
