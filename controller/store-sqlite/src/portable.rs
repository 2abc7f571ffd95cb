//! The rows without their engine: reading a snapshot of a file that a controller may be using, and filling an empty store.
//! Tables are described by SQLite itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection};
use syncferry_store::portable::{Export, FIXED, Import, Kind, Row, Shape, Value, in_order};
use syncferry_store::{Cause, Result, Store, StoreError};

use crate::error::cause;
use crate::open::{Opening, Options, SqliteStore};
use crate::schema;

const EXPORT: &str = "store.export";
const IMPORT: &str = "store.import";

/// How many values one statement takes.
const MOST_VALUES: usize = 8_000;

/// A snapshot of a store's file. It takes no lock and writes nothing, so that a controller may run meanwhile.
pub struct SqliteExport {
    conn: SqliteConnection,
    shapes: Vec<Shape>,
    schema: i64,
}

impl SqliteExport {
    /// Reads the file as it is now.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::try_open(path).await.map_err(|c| StoreError::new(EXPORT, c))
    }

    async fn try_open(path: &Path) -> Result<Self, Cause> {
        if !path.is_file() {
            return Err(Cause::Io(format!("{}: there is no store", path.display())));
        }
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .create_if_missing(false);
        let mut conn = connect.connect().await.map_err(cause)?;
        run(&mut conn, "BEGIN DEFERRED").await?;
        let schema = schema::applied(&mut conn).await?;
        let shapes = shapes(&mut conn).await?;
        Ok(Self { conn, shapes, schema })
    }
}

/// An empty store that is filled in one transaction.
pub struct SqliteImport {
    conn: PoolConnection<Sqlite>,
    opening: Opening,
    shapes: Vec<Shape>,
    schema: i64,
    /// The guards, which sleep: their texts.
    triggers: Vec<String>,
}

impl SqliteImport {
    /// Takes the file, which must be absent or empty, and gives it the schema of that number. No controller may have it open.
    pub async fn open(options: Options, schema: i64) -> Result<Self> {
        let opening = async {
            let opening = Opening::file(options)?;
            Self::begin(opening, schema).await
        };
        opening.await.map_err(|c| StoreError::new(IMPORT, c))
    }

    /// The same in memory, to look at rows as a store.
    pub async fn in_memory(schema: i64) -> Result<Self> {
        let opening = async { Self::begin(Opening::memory()?, schema).await };
        opening.await.map_err(|c| StoreError::new(IMPORT, c))
    }

    async fn begin(opening: Opening, schema: i64) -> Result<Self, Cause> {
        let mut conn = opening.writer.acquire().await.map_err(cause)?;
        // Before anything is changed in a file that is a store.
        for shape in shapes(&mut conn).await? {
            if count(&mut conn, &shape).await? > 0 {
                return Err(Cause::Conflict(format!(
                    "the place: there is a store ({} has rows), and it",
                    shape.name
                )));
            }
        }
        schema::migrate_to(&mut conn, schema, opening.clock.now()).await?;
        run(&mut conn, "PRAGMA foreign_keys = OFF").await?;
        run(&mut conn, "BEGIN IMMEDIATE").await?;
        let shapes = shapes(&mut conn).await?;
        let named = sqlx::query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid");
        let rows = named.fetch_all(&mut *conn).await.map_err(cause)?;
        let mut triggers = Vec::new();
        for row in rows {
            let name: String = row.try_get("name").map_err(cause)?;
            run(&mut conn, &format!("DROP TRIGGER \"{name}\"")).await?;
            triggers.push(row.try_get("sql").map_err(cause)?);
        }
        Ok(Self {
            conn,
            opening,
            shapes,
            schema,
            triggers,
        })
    }

    async fn try_finish(mut self: Box<Self>) -> Result<Arc<dyn Store>, Cause> {
        for trigger in &self.triggers {
            run(&mut self.conn, trigger).await?;
        }
        let dangling = sqlx::query("SELECT \"table\" AS name, parent FROM pragma_foreign_key_check LIMIT 1");
        if let Some(row) = dangling.fetch_optional(&mut *self.conn).await.map_err(cause)? {
            let (name, parent): (String, String) = (
                row.try_get("name").map_err(cause)?,
                row.try_get("parent").map_err(cause)?,
            );
            return Err(Cause::Corrupt(format!("a row of {name} refers to nothing in {parent}")));
        }
        run(&mut self.conn, "COMMIT").await?;
        run(&mut self.conn, "PRAGMA foreign_keys = ON").await?;
        schema::migrate(&mut self.conn, self.opening.clock.now()).await?;
        drop(self.conn);
        Ok(Arc::new(SqliteStore::ready(self.opening).await?))
    }
}

/// Puts a store's file aside, with everything that belongs to it. No controller may have it open. Where there is none, nothing
/// happens.
pub fn put_aside(path: &Path, suffix: &str) -> Result<Option<PathBuf>> {
    let put = || {
        if !path.exists() {
            return Ok(None);
        }
        let _lock = crate::open::lock(path)?;
        let io = |e: std::io::Error| Cause::Io(format!("{}: {e}", path.display()));
        let aside = path.with_added_extension(suffix);
        // First what is not a store by itself: interrupted here, the file is still the store.
        for end in ["-wal", "-shm"] {
            let mut from = path.as_os_str().to_owned();
            let mut to = aside.as_os_str().to_owned();
            from.push(end);
            to.push(end);
            match std::fs::rename(&from, &to) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
                _ => {}
            }
        }
        std::fs::rename(path, &aside).map_err(io)?;
        Ok(Some(aside))
    };
    put().map_err(|c| StoreError::new(IMPORT, c))
}

async fn run(conn: &mut SqliteConnection, statement: &str) -> Result<(), Cause> {
    // Made of constants and of names and texts that the schema itself gives.
    let statement = AssertSqlSafe(statement.to_string());
    sqlx::raw_sql(statement).execute(conn).await.map_err(cause).map(drop)
}

/// Every table but those that the migrations fill.
async fn shapes(conn: &mut SqliteConnection) -> Result<Vec<Shape>, Cause> {
    let names =
        sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
    let names = names.fetch_all(&mut *conn).await.map_err(cause)?;
    let (mut shapes, mut refers) = (Vec::new(), Vec::new());
    for row in names {
        let name: String = row.try_get("name").map_err(cause)?;
        if FIXED.contains(&name.as_str()) {
            continue;
        }
        let parents = sqlx::query("SELECT DISTINCT \"table\" AS parent FROM pragma_foreign_key_list(?1)");
        for row in parents.bind(&name).fetch_all(&mut *conn).await.map_err(cause)? {
            refers.push((name.clone(), row.try_get("parent").map_err(cause)?));
        }
        shapes.push(shape(conn, name).await?);
    }
    Ok(in_order(shapes, &refers))
}

async fn shape(conn: &mut SqliteConnection, name: String) -> Result<Shape, Cause> {
    let columns = sqlx::query("SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY name");
    let (mut found, mut key) = (Vec::new(), Vec::new());
    for row in columns.bind(&name).fetch_all(&mut *conn).await.map_err(cause)? {
        let (column, kind): (String, String) =
            (row.try_get("name").map_err(cause)?, row.try_get("type").map_err(cause)?);
        let kind = match kind.as_str() {
            "INTEGER" | "INT" => Kind::Int,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Bytes,
            other => return Err(Cause::Schema(format!("{name}.{column} is of the unknown type {other}"))),
        };
        let place: i64 = row.try_get("pk").map_err(cause)?;
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

async fn count(conn: &mut SqliteConnection, shape: &Shape) -> Result<i64, Cause> {
    let query = AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM \"{}\"", shape.name));
    let row = sqlx::query(query).fetch_one(conn).await.map_err(cause)?;
    row.try_get("n").map_err(cause)
}

async fn page(conn: &mut SqliteConnection, shape: &Shape, after: Option<&Row>, most: i64) -> Result<Vec<Row>, Cause> {
    let columns: Vec<String> = shape.columns.iter().map(|(c, _)| format!("\"{c}\"")).collect();
    let key: Vec<&str> = shape.key.iter().map(|i| columns[*i].as_str()).collect();
    let key = key.join(", ");
    let (mut places, mut first) = (Vec::new(), String::new());
    if let Some(after) = after {
        places.extend((1..=after.len()).map(|n| format!("?{n}")));
        first = format!(" WHERE ({key}) > ({})", places.join(", "));
    }
    let sql = format!(
        "SELECT {} FROM \"{}\"{first} ORDER BY {key} LIMIT {most}",
        columns.join(", "),
        shape.name
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in after.into_iter().flatten() {
        query = bound(query, value);
    }
    let rows = query.fetch_all(conn).await.map_err(cause)?;
    rows.iter().map(|row| read(row, shape)).collect()
}

fn read(row: &SqliteRow, shape: &Shape) -> Result<Row, Cause> {
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

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

fn bound<'q>(query: Query<'q>, value: &Value) -> Query<'q> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(n) => query.bind(*n),
        Value::Text(t) => query.bind(t.clone()),
        Value::Bytes(b) => query.bind(b.clone()),
    }
}

async fn insert(conn: &mut SqliteConnection, shape: &Shape, rows: &[Row]) -> Result<(), Cause> {
    let columns: Vec<String> = shape.columns.iter().map(|(c, _)| format!("\"{c}\"")).collect();
    let wide = columns.len().max(1);
    for some in rows.chunks((MOST_VALUES / wide).max(1)) {
        let one = |row: usize| {
            let values: Vec<String> = (1..=wide).map(|n| format!("?{}", row * wide + n)).collect();
            format!("({})", values.join(", "))
        };
        let sql = format!(
            "INSERT INTO \"{}\"({}) VALUES {}",
            shape.name,
            columns.join(", "),
            (0..some.len()).map(one).collect::<Vec<_>>().join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for value in some.iter().flatten() {
            query = bound(query, value);
        }
        query.execute(&mut *conn).await.map_err(cause)?;
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
                let counted = count(&mut self.conn, &self.shapes[table]).await;
                counted.map_err(|c| StoreError::new($transaction, c))
            }
            async fn page(&mut self, table: usize, after: Option<&Row>, most: i64) -> Result<Vec<Row>> {
                let read = page(&mut self.conn, &self.shapes[table], after, most).await;
                read.map_err(|c| StoreError::new($transaction, c))
            }
        }
    };
}
reads!(SqliteExport, EXPORT);
reads!(SqliteImport, IMPORT);

#[async_trait]
impl Import for SqliteImport {
    async fn insert(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        let done = insert(&mut self.conn, &self.shapes[table], rows).await;
        done.map_err(|c| StoreError::new(IMPORT, c))
    }

    async fn finish(self: Box<Self>) -> Result<Arc<dyn Store>> {
        self.try_finish().await.map_err(|c| StoreError::new(IMPORT, c))
    }
}

/// What the migrations make of an empty file: type, name and text of everything in it.
pub(crate) async fn expected(number: i64) -> Result<Vec<(String, String)>, Cause> {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.map_err(cause)?;
    schema::migrate_to(&mut conn, number, syncferry_shared::Millis(0)).await?;
    objects(&mut conn).await
}

/// Type and name, and the text, of everything that there is.
pub(crate) async fn objects(conn: &mut SqliteConnection) -> Result<Vec<(String, String)>, Cause> {
    let query = sqlx::query(
        "SELECT type || ' ' || name AS what, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
          ORDER BY what",
    );
    let rows = query.fetch_all(conn).await.map_err(cause)?;
    let pair = |row: &SqliteRow| Ok((row.try_get("what").map_err(cause)?, row.try_get("sql").map_err(cause)?));
    rows.iter().map(pair).collect()
}
