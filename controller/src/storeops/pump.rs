//! Rows from where they are to where they shall be, a few hundred at a time.

use syncferry_store::portable::{Export, Import, Row, Shape, Value};

use super::file::{Item, Reader};
use super::manifest::{Tail, with};
use super::progress::Progress;

/// How many rows travel together.
pub const PAGE: i64 = 500;

/// How many rows a store has.
pub async fn total(from: &mut dyn Export) -> anyhow::Result<i64> {
    let mut total = 0;
    for table in 0..from.shapes().len() {
        total += from.count(table).await?;
    }
    Ok(total)
}

/// Gives every row of a store to somebody, table by table, each by its key.
pub async fn each(
    from: &mut dyn Export,
    progress: &mut Progress,
    mut take: impl AsyncFnMut(usize, Vec<Row>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for table in 0..from.shapes().len() {
        let shape = from.shapes()[table].clone();
        let mut after = None;
        loop {
            let rows = from.page(table, after.as_ref(), PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(shape.key_of(last));
            progress.add(rows.len());
            take(table, rows).await?;
        }
    }
    Ok(())
}

/// Refuses to fill a store whose tables are other ones.
pub fn same_tables(from: &[Shape], to: &[Shape]) -> anyhow::Result<()> {
    for shape in from {
        let there = to.iter().find(|s| s.name == shape.name);
        anyhow::ensure!(
            there.is_some_and(|t| t.same_as(shape)),
            "the table {} is not the same here; use the version that wrote it",
            shape.name
        );
    }
    let new = to.iter().find(|t| !from.iter().any(|s| s.name == t.name));
    anyhow::ensure!(new.is_none(), "the table {} is not in it", new.map_or("", |t| &t.name));
    Ok(())
}

/// Reads a backup to its end, into a store where one is given. What came counts only because the end was reached.
pub async fn load(
    reader: &mut Reader,
    mut into: Option<&mut dyn Import>,
    standing: &str,
    progress: &mut Progress,
) -> anyhow::Result<(Tail, String, Vec<(String, syncferry_shared::secret::Secret)>)> {
    let places = match &into {
        Some(import) => {
            same_tables(&reader.shapes, import.shapes())?;
            reader.shapes.iter().map(|s| place(import.shapes(), s)).collect()
        }
        None => vec![],
    };
    let (mut along, mut waiting, mut of) = (Vec::new(), Vec::new(), 0);
    loop {
        let item = reader.item()?;
        let row = match item {
            Item::Row(table, row) if table == of && waiting.len() < PAGE as usize => {
                waiting.push(stood(&reader.shapes[table], row, standing));
                continue;
            }
            other => other,
        };
        if let (Some(import), Some(place)) = (into.as_deref_mut(), places.get(of)) {
            import.insert(*place, &waiting).await?;
        }
        progress.add(waiting.len());
        waiting.clear();
        match row {
            Item::Row(table, row) => {
                of = table;
                waiting.push(stood(&reader.shapes[table], row, standing));
            }
            Item::Along(name, text) => along.push((name, text)),
            Item::End(tail, hash) => return Ok((tail, hash, along)),
        }
    }
}

fn place(shapes: &[Shape], wanted: &Shape) -> usize {
    shapes.iter().position(|s| s.name == wanted.name).unwrap_or(usize::MAX)
}

/// The row of the store's own identity, with the standing that the store shall have; every other row as it is.
pub fn stood(shape: &Shape, row: Row, standing: &str) -> Row {
    if shape.name != "store_meta" {
        return row;
    }
    let row = with(shape, row, "state", Value::Text(standing.to_string()));
    with(shape, row, "moved_to", Value::Null)
}
