//! What the server says about itself and its objects, shared by functions, views and procedures: server properties,
//! objects by name, system types, schemas.

use std::sync::Arc;

use super::ast::Name;
use super::errors::Result;
use super::instance::Handle;
use super::lexer::{Tok, lex};
use super::session::Session;
use super::sysviews;
use crate::storage::{Database, InstanceConfig, system_object_id};
use crate::types::{SqlType, Value};

fn text(value: impl Into<Arc<str>>) -> Value {
    Value::Str(value.into())
}

/// A random GUID.
pub(super) fn guid() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

fn year(major: u8) -> &'static str {
    match major {
        0..=11 => "2012",
        12 => "2014",
        13 => "2016",
        14 => "2017",
        15 => "2019",
        16 => "2022",
        17.. => "2025",
    }
}

/// `@@VERSION`.
pub(super) fn version_text(config: &InstanceConfig) -> String {
    let update = config
        .product_update_level
        .as_ref()
        .map_or(String::new(), |cu| format!("-{cu}"));
    format!(
        "Microsoft SQL Server {} ({}{update}) - {} (X64) \n\tSyncferry lab stand-in, not Microsoft SQL Server\n\t{} on Windows Server 2022 Standard 10.0 <X64>\n",
        year(config.version().0),
        config.product_level,
        config.product_version,
        config.edition
    )
}

/// `SERVERPROPERTY`. What a version does not have is NULL.
pub(super) fn server_property(session: &Session, name: &str) -> Value {
    let config = session.inst.config();
    let (major, minor, build) = config.version();
    let since = |version: u8, value: Value| if major >= version { value } else { Value::Null };
    let int = |n: i64| Value::Int(n);
    match name.to_ascii_lowercase().as_str() {
        "servername" => text(config.server_name.as_str()),
        "machinename" | "computernamephysicalnetbios" => text(config.machine_name.as_str()),
        "instancename" => config.instance_name.as_deref().map_or(Value::Null, text),
        "productversion" | "resourceversion" => text(config.product_version.as_str()),
        "productmajorversion" => since(11, text(major.to_string())),
        "productminorversion" => since(11, text(minor.to_string())),
        "productbuild" => text(build.to_string()),
        "productlevel" => text(config.product_level.as_str()),
        "productupdatelevel" => config.product_update_level.as_deref().map_or(Value::Null, text),
        "productupdatereference" | "productbuildtype" => Value::Null,
        "edition" => text(config.edition.as_str()),
        "editionid" => int(config.edition_id),
        "engineedition" => int(config.engine_edition.into()),
        "islocaldb" => since(11, int(config.is_localdb.into())),
        "collation" => text(config.collation.as_str()),
        "collationid" => int(872_468_488),
        "comparisonstyle" => int(196_609),
        "lcid" => int(1033),
        "sqlcharset" => int(1),
        "sqlcharsetname" => text("iso_1"),
        "sqlsortorder" => int(52),
        "sqlsortordername" => text("nocase_iso"),
        "ishadrenabled" => int(session.inst.availability().is_some().into()),
        "isclustered" | "issingleuser" | "isadvancedanalyticsinstalled" | "ispolybaseinstalled" => int(0),
        "isfulltextinstalled" | "isbigdatacluster" | "isexternalauthenticationonly" | "isexternalgovernanceenabled" => {
            int(0)
        }
        // 1 is running, 2 not running.
        "hadrmanagerstatus" => int(if session.inst.availability().is_some() { 1 } else { 2 }),
        "isintegratedsecurityonly" => int(config.integrated_security_only.into()),
        "filestreamconfiguredlevel" | "filestreameffectivelevel" => int(0),
        "filestreamsharename" => text(
            config
                .instance_name
                .clone()
                .unwrap_or_else(|| "MSSQLSERVER".to_owned())
                .as_str(),
        ),
        "isxtpsupported" => since(12, int(i64::from(!config.is_localdb))),
        "istempdbmetadatamemoryoptimized" => since(15, int(0)),
        "processid" => int(std::process::id().into()),
        "licensetype" => text("DISABLED"),
        "numlicenses" => Value::Null,
        "buildclrversion" => text("v4.0.30319"),
        "instancedefaultdatapath" => text(config.data_path.as_str()),
        "instancedefaultlogpath" => text(config.log_path.as_str()),
        "instancedefaultbackuppath" => since(15, text(config.backup_path.as_str())),
        "pathseparator" => since(14, text("\\")),
        "errorlogfilename" => text(format!("{}ERRORLOG", config.log_path)),
        _ => Value::Null,
    }
}

/// `DATABASEPROPERTYEX`.
pub(super) fn database_property(session: &Session, handle: &Handle, name: &str) -> Value {
    let database = handle.database();
    let meta = &database.meta;
    let flag = |on: bool| Value::Int(on.into());
    match name.to_ascii_lowercase().as_str() {
        "collation" => text(meta.collation.as_str()),
        "comparisonstyle" => Value::Int(196_609),
        "status" => text(meta.state.code().1),
        "recovery" => text(meta.recovery_model.code().1),
        "useraccess" => text(meta.user_access.code().1),
        "updateability" => text(if meta.is_read_only || session.inst.follows(handle) {
            "READ_ONLY"
        } else {
            "READ_WRITE"
        }),
        "version" => {
            let open = handle.file().is_some();
            if open {
                Value::Int(meta.internal_version.into())
            } else {
                Value::Null
            }
        }
        "isautoclose" => flag(meta.is_auto_close_on),
        "isautoshrink" => flag(meta.is_auto_shrink_on),
        "isautocreatestatistics" | "isautoupdatestatistics" => Value::Int(1),
        "isinstandby" | "ispublished" | "issubscribed" | "ismergepublished" | "isfulltextenabled" => Value::Int(0),
        "istornpagedetectionenabled" => flag(meta.page_verify == "TORN_PAGE_DETECTION"),
        "lastgoodcheckdbtime" if session.inst.config().version().0 >= 13 => match meta.last_good_checkdb {
            Some(at) => super::eval::convert::moment_value(at, session.inst.offset(), &SqlType::DateTime),
            None => Value::DateTime(super::eval::dates::epoch()),
        },
        "edition" | "serviceobjective" => Value::Null,
        "isclone" | "isverifiedclone" => Value::Int(0),
        "sqlsortorder" => Value::Int(52),
        "lcid" => Value::Int(1033),
        _ => Value::Null,
    }
}

// ---- objects ----

/// An object of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// `object_id`; negative for the server's own.
    pub id: i32,
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// `U`, `P`, `V`, `X`.
    pub kind: &'static str,
}

/// Splits `[a].[b]` as OBJECT_ID reads it.
pub(super) fn split_name(text: &str) -> Option<Name> {
    let tokens = lex(text, true).ok()?;
    let mut parts = vec![String::new()];
    for token in &tokens {
        match &token.tok {
            Tok::Word(w) | Tok::Quoted(w) if parts.last().is_some_and(String::is_empty) => {
                let last = parts.len() - 1;
                parts[last].clone_from(w);
            }
            Tok::Sym(".") => parts.push(String::new()),
            Tok::End => {}
            _ => return None,
        }
    }
    (parts.len() <= 4 && !parts.last()?.is_empty()).then_some(Name { parts })
}

/// An object by its written name.
pub(super) fn find_object(session: &Session, written: &str) -> Option<Object> {
    let name = split_name(written)?;
    let handle = match name.database() {
        Some(database) => session.inst.find(database)?,
        None => session.handle().ok()?,
    };
    let database = session.view(&handle);
    let schema = name.schema().unwrap_or("dbo");
    if let Some(table) = database.table(schema, name.object()) {
        return Some(Object {
            id: table.object_id,
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: "U",
        });
    }
    if let Some(procedure) = database.procedure(schema, name.object()) {
        return Some(Object {
            id: procedure.object_id,
            schema: procedure.schema.clone(),
            name: procedure.name.clone(),
            kind: "P",
        });
    }
    let schema = name.schema().unwrap_or("sys");
    if let Some(view) = sysviews::find(session, schema, name.object()) {
        return Some(Object {
            id: system_object_id(view.name),
            schema: view.schema.to_owned(),
            name: view.name.to_owned(),
            kind: "V",
        });
    }
    let procedure = super::procs::find(name.object())?;
    Some(Object {
        id: system_object_id(procedure),
        schema: "sys".to_owned(),
        name: procedure.to_owned(),
        kind: if procedure.starts_with("xp_") { "X" } else { "P" },
    })
}

/// A user object by id.
pub(super) fn object_by_id(database: &Database, id: i32) -> Option<Object> {
    if let Some(table) = database.tables.iter().find(|t| t.object_id == id) {
        return Some(Object {
            id,
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: "U",
        });
    }
    let procedure = database.procedures.iter().find(|p| p.object_id == id)?;
    Some(Object {
        id,
        schema: procedure.schema.clone(),
        name: procedure.name.clone(),
        kind: "P",
    })
}

/// Schemas with their ids: the fixed ones, those of fixed roles, and whatever objects are in.
pub(super) fn schemas(database: &Database) -> Vec<(i32, String)> {
    let mut all: Vec<(i32, String)> = vec![
        (1, "dbo".into()),
        (2, "guest".into()),
        (3, "INFORMATION_SCHEMA".into()),
        (4, "sys".into()),
    ];
    let used = database
        .tables
        .iter()
        .map(|t| &t.schema)
        .chain(database.procedures.iter().map(|p| &p.schema));
    for name in used {
        if !all.iter().any(|s| s.1.eq_ignore_ascii_case(name)) {
            let id = all.iter().map(|s| s.0).max().unwrap_or(4) + 1;
            all.push((id, name.clone()));
        }
    }
    let fixed = database.principals.iter().filter(|p| p.is_fixed_role);
    all.extend(fixed.map(|p| (p.principal_id, p.name.clone())));
    all
}

/// The id of a schema by name.
pub(super) fn schema_id(database: &Database, name: &str) -> i32 {
    schemas(database)
        .into_iter()
        .find(|s| s.1.eq_ignore_ascii_case(name))
        .map_or(1, |s| s.0)
}

// ---- types ----

/// A row of `sys.types`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeRow {
    /// The name.
    pub name: &'static str,
    /// `system_type_id`.
    pub system_type_id: u8,
    /// `user_type_id`.
    pub user_type_id: i32,
    /// `max_length`.
    pub max_length: i16,
    /// `precision`.
    pub precision: u8,
    /// `scale`.
    pub scale: u8,
}

const fn ty(name: &'static str, id: u8, max_length: i16, precision: u8, scale: u8) -> TypeRow {
    TypeRow {
        name,
        system_type_id: id,
        user_type_id: id as i32,
        max_length,
        precision,
        scale,
    }
}

/// `sys.types`.
pub(super) const TYPES: &[TypeRow] = &[
    ty("image", 34, 16, 0, 0),
    ty("text", 35, 16, 0, 0),
    ty("uniqueidentifier", 36, 16, 0, 0),
    ty("date", 40, 3, 10, 0),
    ty("time", 41, 5, 16, 7),
    ty("datetime2", 42, 8, 27, 7),
    ty("datetimeoffset", 43, 10, 34, 7),
    ty("tinyint", 48, 1, 3, 0),
    ty("smallint", 52, 2, 5, 0),
    ty("int", 56, 4, 10, 0),
    ty("smalldatetime", 58, 4, 16, 0),
    ty("real", 59, 4, 24, 0),
    ty("money", 60, 8, 19, 4),
    ty("datetime", 61, 8, 23, 3),
    ty("float", 62, 8, 53, 0),
    ty("sql_variant", 98, 8016, 0, 0),
    ty("ntext", 99, 16, 0, 0),
    ty("bit", 104, 1, 1, 0),
    ty("decimal", 106, 17, 38, 38),
    ty("numeric", 108, 17, 38, 38),
    ty("smallmoney", 122, 4, 10, 4),
    ty("bigint", 127, 8, 19, 0),
    ty("varbinary", 165, 8000, 0, 0),
    ty("varchar", 167, 8000, 0, 0),
    ty("binary", 173, 8000, 0, 0),
    ty("char", 175, 8000, 0, 0),
    ty("timestamp", 189, 8, 0, 0),
    ty("nvarchar", 231, 8000, 0, 0),
    ty("nchar", 239, 8000, 0, 0),
    ty("xml", 241, -1, 0, 0),
    TypeRow {
        name: "sysname",
        system_type_id: 231,
        user_type_id: 256,
        max_length: 256,
        precision: 0,
        scale: 0,
    },
];

/// The row of a type.
pub(super) fn type_row(ty: &SqlType) -> TypeRow {
    let name = super::eval::types::type_name(ty).trim_end_matches("(max)");
    TYPES.iter().find(|t| t.name == name).copied().unwrap_or(TYPES[9])
}

/// `max_length`, `precision` and `scale` of a column of a type.
pub(super) fn storage(ty: &SqlType) -> (i16, u8, u8) {
    let row = type_row(ty);
    let short = |n: u16| i16::try_from(n).unwrap_or(-1);
    match ty {
        SqlType::Char(n) | SqlType::Binary(n) => (short(*n), 0, 0),
        SqlType::VarChar(n) | SqlType::VarBinary(n) => (n.map_or(-1, short), 0, 0),
        SqlType::NChar(n) => (short(n * 2), 0, 0),
        SqlType::NVarChar(n) => (n.map_or(-1, |n| short(n * 2)), 0, 0),
        SqlType::Numeric { precision, scale } => {
            let bytes = match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            };
            (bytes, *precision, *scale)
        }
        SqlType::DateTime2(s) => (
            if *s < 3 {
                6
            } else if *s < 5 {
                7
            } else {
                8
            },
            if *s == 0 { 19 } else { 20 + s },
            *s,
        ),
        SqlType::DateTimeOffset(s) => (
            if *s < 3 {
                8
            } else if *s < 5 {
                9
            } else {
                10
            },
            if *s == 0 { 26 } else { 27 + s },
            *s,
        ),
        SqlType::Time(s) => (
            if *s < 3 {
                3
            } else if *s < 5 {
                4
            } else {
                5
            },
            if *s == 0 { 8 } else { 9 + s },
            *s,
        ),
        _ => (row.max_length, row.precision, row.scale),
    }
}

/// RAISERROR's `%s`, `%d`, `%i`, `%u`, `%x`, `%%`.
pub(super) fn printf(template: &str, args: &[Value]) -> Result<String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        while chars
            .peek()
            .is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | '#' | ' ' | '*' | 'l' | 'h' | 'I'))
        {
            chars.next();
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('s' | 'd' | 'i' | 'u' | 'o') => out.push_str(&plain(args.next())),
            Some('x') => out.push_str(&hex(args.next(), false)),
            Some('X') => out.push_str(&hex(args.next(), true)),
            _ => return Err(super::errors::err!(2787, template)),
        }
    }
    Ok(out)
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::Str(s)) => s.to_string(),
        Some(Value::Int(i)) => i.to_string(),
        Some(Value::Bit(b)) => u8::from(*b).to_string(),
        _ => "(null)".to_owned(),
    }
}

fn hex(value: Option<&Value>, upper: bool) -> String {
    match value {
        Some(Value::Int(i)) if upper => format!("{i:X}"),
        Some(Value::Int(i)) => format!("{i:x}"),
        other => plain(other),
    }
}
