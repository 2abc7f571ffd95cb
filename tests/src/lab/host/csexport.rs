//! `csexport.exe`: the pending exports of a connector as its file has them. Which objects wait is what the database says; which of
//! their attributes is the lab's own: the directory behind it has none.

use std::fmt::Write as _;

use super::Host;
use super::sql::literal;

/// What an object of each operation exports here.
const ADD: &[&str] = &["displayName", "mail", "userPrincipalName"];
const UPDATE: &[&[&str]] = &[&["mail"], &["mail", "proxyAddresses"], &["displayName"]];

/// Runs it. The service must run, as for the tool.
pub(crate) async fn run(host: &Host, connector: &str) -> Result<String, String> {
    let engine = host.engine().await;
    let engine = engine
        .as_ref()
        .ok_or("The Forefront Identity Manager service is not running.")?;
    let sql = format!(
        "SELECT cs.export_operation, COUNT_BIG(*) AS pending FROM dbo.mms_connectorspace AS cs \
         JOIN dbo.mms_management_agent AS ma ON ma.ma_id = cs.ma_id \
         WHERE cs.export_operation <> 0 AND ma.ma_name = {} GROUP BY cs.export_operation",
        literal(connector)
    );
    let rows = engine.ask(host, &sql).await.map_err(|e| e.to_string())?;
    let mut text = String::from("<?xml version=\"1.0\"?>\n<cs-objects>\n");
    for row in &rows {
        let [operation, pending] = row.as_slice() else { continue };
        for n in 0..pending.int() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{}", object(operation.int(), n));
        }
    }
    text.push_str("</cs-objects>\n");
    Ok(text)
}

fn object(operation: i64, n: i64) -> String {
    let updates = UPDATE[usize::try_from(n).unwrap_or(0) % UPDATE.len()];
    let (word, attributes) = match operation {
        1 => ("add", ADD),
        2 | 3 => ("update", updates),
        4 | 5 => ("delete", &[][..]),
        _ => ("unknown", &[][..]),
    };
    let attributes: String = attributes
        .iter()
        .map(|a| format!("<attr name=\"{a}\" operation=\"replace\"><value>x</value></attr>"))
        .collect();
    format!(
        "<cs-object cs-dn=\"CN={n}\" object-type=\"user\"><unapplied-export><delta operation=\"{word}\" dn=\"CN={n}\">{attributes}</delta></unapplied-export></cs-object>"
    )
}
