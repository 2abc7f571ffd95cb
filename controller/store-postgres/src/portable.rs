//! The rows without their engine: reading one snapshot of a store that controllers may be using, and filling an empty one.
//! Tables are described by PostgreSQL itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use syncferry_store::portable::{Export, FIXED, Import, Kind, Row, Shape, Value, in_order};
use syncferry_store::{Cause, Result, Store, StoreError};

use crate::error::cause;
use crate::line::Line;
use crate::open::{NAME, OPERATIONS, Options, PgStore, WRITE_LOCK};
use crate::schema;
use crate::tx::Query;

const EXPORT: &str = "store.export";
const IMPORT: &str = "store.import";

/// How many values one statement takes.
const MOST_VALUES: usize = 8_000;

/// A snapshot of a store.
pub struct PgExport {
    line: Line,
    shapes: Vec<Shape>,
    schema: i64,
}

impl PgExport {
    /// Reads the store as it is now. Writes nothing; the tables must be there.
    pub async fn open(options: Options) -> Result<Self> {
        Self::try_open(options).await.map_err(|c| StoreError::new(EXPORT, c))
    }

    async fn try_open(options: Options) -> Result<Self, Cause> {
        let store = PgStore::connect(options).await?;
        let how = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut line = Line::begin(&store.readers, how, store.patience).await.map_err(cause)?;
        let schema = schema::applied(&mut line).await?;
        let shapes = shapes(&mut line).await?;
        Ok(Self { line, shapes, schema })
    }
}

/// An empty store that is filled in one transaction.
pub struct PgImport {
    line: Line,
    store: PgStore,
    shapes: Vec<Shape>,
    schema: i64,
}

impl PgImport {
    /// Takes the database, which must hold no store or an empty one, and gives it the schema of that number. With `replace`,
    /// what is there is dropped in the same transaction. No controller may have it open.
    pub async fn open(options: Options, schema: i64, replace: bool) -> Result<Self> {
        let opened = Self::try_open(options, schema, replace).await;
        opened.map_err(|c| StoreError::new(IMPORT, c))
    }

    async fn try_open(options: Options, schema: i64, replace: bool) -> Result<Self, Cause> {
        // Under another name, so that controllers can be told from it.
        let store = PgStore::connect(Options {
            name: OPERATIONS,
            ..options
        })
        .await?;
        let mut line = Line::begin(&store.writer, "BEGIN", store.patience)
            .await
            .map_err(cause)?;
        line.simple("SET LOCAL statement_timeout = 0").await.map_err(cause)?;
        line.simple(WRITE_LOCK).await.map_err(cause)?;
        nobody_else(&mut line).await?;
        // A transaction stands still here while its rows are read back and compared.
        line.simple("SET LOCAL idle_in_transaction_session_timeout = 0")
            .await
            .map_err(cause)?;
        if replace {
            drop_store(&mut line).await?;
        }
        schema::migrate_to(&mut line, schema).await?;
        let shapes = shapes(&mut line).await?;
        for shape in &shapes {
            if count(&mut line, shape).await? > 0 {
                return Err(Cause::Conflict(format!(
                    "the place: there is a store ({} has rows), and it",
                    shape.name
                )));
            }
            run(
                &mut line,
                format!("ALTER TABLE \"{}\" DISABLE TRIGGER USER", shape.name),
            )
            .await?;
        }
        Ok(Self {
            line,
            store,
            shapes,
            schema,
        })
    }

    async fn try_finish(mut self: Box<Self>) -> Result<Arc<dyn Store>, Cause> {
        for shape in &self.shapes {
            let name = &shape.name;
            run(&mut self.line, format!("ALTER TABLE \"{name}\" ENABLE TRIGGER USER")).await?;
        }
        // What counts by itself goes on behind the highest number there is.
        let counters = sqlx::query(
            "SELECT c.relname::text AS name, a.attname::text AS \"column\" FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
              WHERE a.attidentity <> '' AND c.relnamespace = current_schema()::regnamespace",
        );
        for row in self.line.all(counters).await.map_err(cause)? {
            let (name, column): (String, String) = (
                row.try_get("name").map_err(cause)?,
                row.try_get("column").map_err(cause)?,
            );
            let behind = format!(
                "SELECT setval(pg_get_serial_sequence('\"{name}\"', '{column}'), MAX(\"{column}\")) FROM \"{name}\"
                 HAVING MAX(\"{column}\") IS NOT NULL"
            );
            run(&mut self.line, behind).await?;
        }
        schema::migrate(&mut self.line).await?;
        self.line.end("COMMIT").await.map_err(cause)?;
        Ok(Arc::new(self.store))
    }
}

async fn run(line: &mut Line, statement: String) -> Result<(), Cause> {
    // Made of constants and of names that the schema itself gives.
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    line.execute(query).await.map_err(cause).map(drop)
}

/// Refuses while another controller is connected to the database. PostgreSQL lists a connection for a moment after its client
/// has left, so a controller that was just stopped is given two seconds.
pub(crate) async fn nobody_else(line: &mut Line) -> Result<(), Cause> {
    const LOOKS: u32 = 10;
    let mut place = String::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            // A transaction sees the list as it was at its first look, otherwise.
            run(line, "SELECT pg_stat_clear_snapshot()".to_string()).await?;
        }
        let others = sqlx::query(
            "SELECT COALESCE(host(client_addr), 'this machine') AS place FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = $1 LIMIT 1",
        );
        match line.one(others.bind(NAME)).await.map_err(cause)? {
            None => return Ok(()),
            Some(row) => place = row.try_get("place").map_err(cause)?,
        }
    }
    Err(Cause::InUse(format!("the database (from {place})")))
}

/// Drops everything that our migrations made, and nothing else.
async fn drop_store(line: &mut Line) -> Result<(), Cause> {
    let names = schema::made();
    for (kind, name) in names {
        run(line, format!("DROP {kind} IF EXISTS \"{name}\" CASCADE")).await?;
    }
    Ok(())
}

/// Every table of ours but those that the migrations fill.
async fn shapes(line: &mut Line) -> Result<Vec<Shape>, Cause> {
    let names = sqlx::query(
        "SELECT c.relname::text AS name FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace",
    );
    let (mut shapes, mut refers) = (Vec::new(), Vec::new());
    for row in line.all(names).await.map_err(cause)? {
        let name: String = row.try_get("name").map_err(cause)?;
        if !FIXED.contains(&name.as_str()) {
            shapes.push(shape(line, name).await?);
        }
    }
    let parents = sqlx::query(
        "SELECT c.relname::text AS name, p.relname::text AS parent
           FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
          WHERE k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace",
    );
    for row in line.all(parents).await.map_err(cause)? {
        refers.push((
            row.try_get("name").map_err(cause)?,
            row.try_get("parent").map_err(cause)?,
        ));
    }
    Ok(in_order(shapes, &refers))
}

async fn shape(line: &mut Line, name: String) -> Result<Shape, Cause> {
    let columns = sqlx::query(
        "SELECT a.attname::text AS name, COALESCE(b.typname, t.typname)::text AS type,
                COALESCE(array_position(k.conkey::int2[], a.attnum), 0)::bigint AS place
           FROM pg_attribute a
           JOIN pg_class c ON c.oid = a.attrelid
           JOIN pg_type t ON t.oid = a.atttypid
           LEFT JOIN pg_type b ON b.oid = t.typbasetype
           LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
          WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
          ORDER BY a.attname COLLATE \"C\"",
    );
    let (mut found, mut key) = (Vec::new(), Vec::new());
    for row in line.all(columns.bind(name.clone())).await.map_err(cause)? {
        let (column, kind): (String, String) =
            (row.try_get("name").map_err(cause)?, row.try_get("type").map_err(cause)?);
        let kind = match kind.as_str() {
            "int8" | "int4" | "int2" => Kind::Int,
            "text" => Kind::Text,
            "bytea" => Kind::Bytes,
            other => return Err(Cause::Schema(format!("{name}.{column} is of the unknown type {other}"))),
        };
        let place: i64 = row.try_get("place").map_err(cause)?;
        if place > 0 {
            key.push((place, found.len()));
        }
        found.push((column, kind));
    }
    key.sort_unstable();
    Ok(Shape {
        name,
        columns: found,
        key: key.into_iter().map(|(_, at)| at).collect(),
    })
}

async fn count(line: &mut Line, shape: &Shape) -> Result<i64, Cause> {
    let query = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM \"{}\"", shape.name)));
    let row = line.one(query.persistent(false)).await.map_err(cause)?;
    let row = row.ok_or_else(|| Cause::Corrupt("nothing was counted".into()))?;
    row.try_get("n").map_err(cause)
}

async fn page(line: &mut Line, shape: &Shape, after: Option<&Row>, most: i64) -> Result<Vec<Row>, Cause> {
    let cast = |(column, kind): &(String, Kind)| {
        let to = match kind {
            Kind::Int => "bigint",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        format!("\"{column}\"::{to}")
    };
    let columns: Vec<String> = shape.columns.iter().map(cast).collect();
    let key: Vec<String> = shape
        .key
        .iter()
        .map(|i| format!("\"{}\"", shape.columns[*i].0))
        .collect();
    let key = key.join(", ");
    let (mut places, mut first) = (Vec::new(), String::new());
    if let Some(after) = after {
        places.extend((1..=after.len()).map(|n| format!("${n}")));
        first = format!(" WHERE ({key}) > ({})", places.join(", "));
    }
    let sql = format!(
        "SELECT {} FROM \"{}\"{first} ORDER BY {key} LIMIT {most}",
        columns.join(", "),
        shape.name
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for value in after.into_iter().flatten() {
        query = bound(query, value, Kind::Text);
    }
    let rows = line.all(query).await.map_err(cause)?;
    rows.iter().map(|row| read(row, shape)).collect()
}

fn read(row: &PgRow, shape: &Shape) -> Result<Row, Cause> {
    let value = |(at, (_, kind)): (usize, &(String, Kind))| {
        Ok(match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(at).map_err(cause)?.map(Value::Int),
            Kind::Text => row.try_get::<Option<String>, _>(at).map_err(cause)?.map(Value::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at).map_err(cause)?.map(Value::Bytes),
        }
        .unwrap_or(Value::Null))
    };
    shape.columns.iter().enumerate().map(value).collect()
}

fn bound<'q>(query: Query<'q>, value: &Value, kind: Kind) -> Query<'q> {
    match (value, kind) {
        (Value::Null, Kind::Int) => query.bind(None::<i64>),
        (Value::Null, Kind::Text) => query.bind(None::<String>),
        (Value::Null, Kind::Bytes) => query.bind(None::<Vec<u8>>),
        (Value::Int(n), _) => query.bind(*n),
        (Value::Text(t), _) => query.bind(t.clone()),
        (Value::Bytes(b), _) => query.bind(b.clone()),
    }
}

async fn insert(line: &mut Line, shape: &Shape, rows: &[Row]) -> Result<(), Cause> {
    let columns: Vec<String> = shape.columns.iter().map(|(c, _)| format!("\"{c}\"")).collect();
    let wide = columns.len().max(1);
    for some in rows.chunks((MOST_VALUES / wide).max(1)) {
        let one = |row: usize| {
            let values: Vec<String> = (1..=wide).map(|n| format!("${}", row * wide + n)).collect();
            format!("({})", values.join(", "))
        };
        let sql = format!(
            "INSERT INTO \"{}\"({}) VALUES {}",
            shape.name,
            columns.join(", "),
            (0..some.len()).map(one).collect::<Vec<_>>().join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for row in some {
            for (value, (_, kind)) in row.iter().zip(&shape.columns) {
                query = bound(query, value, *kind);
            }
        }
        line.execute(query).await.map_err(cause)?;
    }
    Ok(())
}

macro_rules! reads {
    ($name:ident, $transaction:ident) => {
        #[async_trait]
        impl Export for $name {
            fn schema(&self) -> i64 {
                self.schema
            }
            fn shapes(&self) -> &[Shape] {
                &self.shapes
            }
            async fn count(&mut self, table: usize) -> Result<i64> {
                let counted = count(&mut self.line, &self.shapes[table]).await;
                counted.map_err(|c| StoreError::new($transaction, c))
            }
            async fn page(&mut self, table: usize, after: Option<&Row>, most: i64) -> Result<Vec<Row>> {
                let read = page(&mut self.line, &self.shapes[table], after, most).await;
                read.map_err(|c| StoreError::new($transaction, c))
            }
        }
    };
}
reads!(PgExport, EXPORT);
reads!(PgImport, IMPORT);

#[async_trait]
impl Import for PgImport {
    async fn insert(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        let done = insert(&mut self.line, &self.shapes[table], rows).await;
        done.map_err(|c| StoreError::new(IMPORT, c))
    }

    async fn finish(self: Box<Self>) -> Result<Arc<dyn Store>> {
        self.try_finish().await.map_err(|c| StoreError::new(IMPORT, c))
    }
}
