//! The built-in functions: names, arguments, result types. The computing is in the files beside this one.

use super::types::{common_type, is_national, length, text_type};
use super::{Bound, Env, Node, math, moments, security, server, strings};
use crate::engine::errors::Result;
use crate::types::{SqlType, Value};

/// What the parser needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// The first argument is a date part.
    pub datepart: bool,
    /// OVER is required.
    pub window: bool,
}

/// What an argument is converted to before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg {
    /// As it is.
    Any,
    /// Text.
    Text,
    /// bigint.
    Int,
    /// A date: text becomes datetime2 or datetimeoffset.
    Date,
    /// varbinary.
    Bytes,
    /// float.
    Float,
}

/// A call being made.
pub(crate) struct Call<'a> {
    /// The surroundings.
    pub env: &'a Env<'a>,
    /// Upper case.
    pub name: &'static str,
    /// The arguments' values.
    pub values: &'a [Value],
    /// The arguments.
    pub args: &'a [Bound],
    /// The result type.
    pub ty: &'a SqlType,
}

impl Call<'_> {
    /// An argument as text; empty when it is not.
    pub(crate) fn text(&self, n: usize) -> &str {
        match self.values.get(n) {
            Some(Value::Str(s)) => s,
            _ => "",
        }
    }

    /// An argument as text, if it is there and not NULL.
    pub(crate) fn text_or_null(&self, n: usize) -> Option<&str> {
        match self.values.get(n) {
            Some(Value::Str(s)) => Some(s),
            _ => None,
        }
    }

    /// An argument as integer.
    pub(crate) fn int(&self, n: usize) -> Option<i64> {
        match self.values.get(n) {
            Some(Value::Int(i)) => Some(*i),
            Some(Value::Bit(b)) => Some(i64::from(*b)),
            _ => None,
        }
    }
}

/// A function.
pub(crate) struct Entry {
    /// Upper case.
    pub name: &'static str,
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// What the arguments are; the last one repeats.
    pub args: &'static [Arg],
    /// NULL in, NULL out.
    pub strict: bool,
    /// The result type.
    pub ty: fn(&[Bound]) -> SqlType,
    /// The computation.
    pub run: fn(&Call<'_>) -> Result<Value>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! entries {
    ($($name:literal $min:literal $max:literal [$($arg:ident)*] $strict:ident $ty:expr, $run:path;)*) => {
        &[$(Entry { name: $name, min: $min, max: $max, args: &[$(Arg::$arg),*], strict: entries!(@ $strict), ty: $ty, run: $run }),*]
    };
    (@ strict) => { true };
    (@ loose) => { false };
}

fn int(_: &[Bound]) -> SqlType {
    SqlType::Int
}
fn bigint(_: &[Bound]) -> SqlType {
    SqlType::BigInt
}
fn smallint(_: &[Bound]) -> SqlType {
    SqlType::SmallInt
}
fn float(_: &[Bound]) -> SqlType {
    SqlType::Float
}
fn variant(_: &[Bound]) -> SqlType {
    SqlType::Variant
}
fn guid(_: &[Bound]) -> SqlType {
    SqlType::Guid
}
fn datetime(_: &[Bound]) -> SqlType {
    SqlType::DateTime
}
fn datetime2(_: &[Bound]) -> SqlType {
    SqlType::DateTime2(7)
}
fn datetimeoffset(_: &[Bound]) -> SqlType {
    SqlType::DateTimeOffset(7)
}
fn date(_: &[Bound]) -> SqlType {
    SqlType::Date
}
fn sysname(_: &[Bound]) -> SqlType {
    SqlType::NVarChar(Some(128))
}
fn nvarchar258(_: &[Bound]) -> SqlType {
    SqlType::NVarChar(Some(258))
}
fn nvarchar4000(_: &[Bound]) -> SqlType {
    SqlType::NVarChar(Some(4000))
}
fn nvarchar30(_: &[Bound]) -> SqlType {
    SqlType::NVarChar(Some(30))
}
fn nchar1(_: &[Bound]) -> SqlType {
    SqlType::NChar(1)
}
fn char1(_: &[Bound]) -> SqlType {
    SqlType::Char(1)
}
fn sid(_: &[Bound]) -> SqlType {
    SqlType::VarBinary(Some(85))
}
fn hash(_: &[Bound]) -> SqlType {
    SqlType::VarBinary(Some(8000))
}
fn char10(_: &[Bound]) -> SqlType {
    SqlType::Char(10)
}
/// The text type of the first argument.
fn same_text(args: &[Bound]) -> SqlType {
    let first = args.first().map_or(SqlType::VarChar(Some(1)), |a| a.ty.clone());
    text_type(is_national(&first), length(&first).map(usize::from))
}
/// The first argument's kind of text, as long as can be.
fn long_text(args: &[Bound]) -> SqlType {
    let national = args.iter().any(|a| is_national(&a.ty));
    let max = args.first().is_some_and(|a| length(&a.ty).is_none());
    text_type(
        national,
        if max {
            None
        } else {
            Some(if national { 4000 } else { 8000 })
        },
    )
}
fn concat_text(args: &[Bound]) -> SqlType {
    let national = args.iter().any(|a| is_national(&a.ty));
    let limit = if national { 4000 } else { 8000 };
    let total: Option<usize> = args.iter().map(|a| length(&a.ty).map(usize::from)).sum();
    text_type(national, total.map(|t| t.min(limit)))
}
fn same(args: &[Bound]) -> SqlType {
    args.first().map_or(SqlType::Int, |a| a.ty.clone())
}
fn number(args: &[Bound]) -> SqlType {
    match same(args) {
        SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt => SqlType::Int,
        SqlType::Real => SqlType::Float,
        ty if super::types::is_numeric(&ty) => ty,
        _ => SqlType::Float,
    }
}
fn second_date(args: &[Bound]) -> SqlType {
    match args.get(2).map(|a| a.ty.clone()) {
        Some(
            ty @ (SqlType::Date
            | SqlType::DateTime2(_)
            | SqlType::DateTimeOffset(_)
            | SqlType::SmallDateTime
            | SqlType::Time(_)),
        ) => ty,
        _ => SqlType::DateTime,
    }
}

static ENTRIES: &[Entry] = entries![
    // Text.
    "LEN" 1 1 [Text] strict int, strings::len;
    "DATALENGTH" 1 1 [Any] strict int, strings::data_length;
    "LEFT" 2 2 [Text Int] strict same_text, strings::left;
    "RIGHT" 2 2 [Text Int] strict same_text, strings::right;
    "SUBSTRING" 3 3 [Any Int Int] strict strings::substring_type, strings::substring;
    "UPPER" 1 1 [Text] strict same_text, strings::upper;
    "LOWER" 1 1 [Text] strict same_text, strings::lower;
    "LTRIM" 1 1 [Text] strict same_text, strings::ltrim;
    "RTRIM" 1 1 [Text] strict same_text, strings::rtrim;
    "TRIM" 1 1 [Text] strict same_text, strings::trim;
    "REPLACE" 3 3 [Text Text Text] strict long_text, strings::replace;
    "CHARINDEX" 2 3 [Text Text Int] strict int, strings::charindex;
    "PATINDEX" 2 2 [Text Text] strict int, strings::patindex;
    "CONCAT" 2 254 [Text] loose concat_text, strings::concat;
    "CONCAT_WS" 3 254 [Text] loose concat_text, strings::concat_ws;
    "QUOTENAME" 1 2 [Text Text] strict nvarchar258, strings::quotename;
    "STUFF" 4 4 [Text Int Int Text] loose long_text, strings::stuff;
    "REPLICATE" 2 2 [Text Int] strict long_text, strings::replicate;
    "SPACE" 1 1 [Int] strict |_| SqlType::VarChar(Some(8000)), strings::space;
    "REVERSE" 1 1 [Text] strict same_text, strings::reverse;
    "CHAR" 1 1 [Int] strict char1, strings::char_;
    "NCHAR" 1 1 [Int] strict nchar1, strings::nchar;
    "ASCII" 1 1 [Text] strict int, strings::ascii;
    "UNICODE" 1 1 [Text] strict int, strings::unicode;
    "STR" 1 3 [Float Int Int] strict char10, strings::str_;
    "FORMAT" 2 3 [Any Text Text] strict nvarchar4000, strings::format;
    "ISNUMERIC" 1 1 [Any] loose int, strings::isnumeric;
    "PARSENAME" 2 2 [Text Int] strict sysname, strings::parsename;
    "HASHBYTES" 2 2 [Text Any] strict hash, strings::hashbytes;
    "STRING_ESCAPE" 2 2 [Text Text] strict long_text, strings::string_escape;
    // Numbers.
    "ABS" 1 1 [Any] strict number, math::abs;
    "CEILING" 1 1 [Any] strict number, math::ceiling;
    "FLOOR" 1 1 [Any] strict number, math::floor;
    "ROUND" 2 3 [Any Int Int] strict number, math::round;
    "SIGN" 1 1 [Any] strict number, math::sign;
    "POWER" 2 2 [Float Float] strict float, math::power;
    "SQRT" 1 1 [Float] strict float, math::sqrt;
    "RAND" 0 1 [Any] loose float, math::rand;
    "CHECKSUM" 1 254 [Any] loose int, math::checksum;
    "BINARY_CHECKSUM" 1 254 [Any] loose int, math::checksum;
    // Dates.
    "GETDATE" 0 0 [] loose datetime, moments::now;
    "GETUTCDATE" 0 0 [] loose datetime, moments::now;
    "CURRENT_TIMESTAMP" 0 0 [] loose datetime, moments::now;
    "SYSDATETIME" 0 0 [] loose datetime2, moments::now;
    "SYSUTCDATETIME" 0 0 [] loose datetime2, moments::now;
    "SYSDATETIMEOFFSET" 0 0 [] loose datetimeoffset, moments::now;
    "DATEADD" 3 3 [Any Int Date] strict second_date, moments::dateadd;
    "DATEDIFF" 3 3 [Any Date Date] strict int, moments::datediff;
    "DATEDIFF_BIG" 3 3 [Any Date Date] strict bigint, moments::datediff;
    "DATEPART" 2 2 [Any Date] strict int, moments::datepart;
    "DATENAME" 2 2 [Any Date] strict nvarchar30, moments::datename;
    "YEAR" 1 1 [Date] strict int, moments::year;
    "MONTH" 1 1 [Date] strict int, moments::month;
    "DAY" 1 1 [Date] strict int, moments::day;
    "EOMONTH" 1 2 [Date Int] strict date, moments::eomonth;
    "ISDATE" 1 1 [Any] loose int, moments::isdate;
    "SWITCHOFFSET" 2 2 [Date Any] strict datetimeoffset, moments::switchoffset;
    "TODATETIMEOFFSET" 2 2 [Date Any] strict datetimeoffset, moments::todatetimeoffset;
    "DATEFROMPARTS" 3 3 [Int] strict date, moments::datefromparts;
    // The server and its objects.
    "NEWID" 0 0 [] loose guid, server::newid;
    "NEWSEQUENTIALID" 0 0 [] loose guid, server::newid;
    "SERVERPROPERTY" 1 1 [Text] strict variant, server::serverproperty;
    "CONNECTIONPROPERTY" 1 1 [Text] strict variant, server::connectionproperty;
    "SESSIONPROPERTY" 1 1 [Text] strict variant, server::sessionproperty;
    "SESSION_CONTEXT" 1 1 [Text] strict variant, server::null;
    "CONTEXT_INFO" 0 0 [] loose |_| SqlType::VarBinary(Some(128)), server::null;
    "DATABASEPROPERTYEX" 2 2 [Text Text] strict variant, server::databasepropertyex;
    "FILEPROPERTY" 2 2 [Text Text] strict int, server::fileproperty;
    "DB_ID" 0 1 [Text] loose smallint, server::db_id;
    "DB_NAME" 0 1 [Int] loose sysname, server::db_name;
    "OBJECT_ID" 1 2 [Text Text] strict int, server::object_id;
    "OBJECT_NAME" 1 2 [Int Int] strict sysname, server::object_name;
    "OBJECT_SCHEMA_NAME" 1 2 [Int Int] strict sysname, server::object_schema_name;
    "OBJECTPROPERTY" 2 2 [Int Text] strict int, server::objectproperty;
    "COL_LENGTH" 2 2 [Text Text] strict smallint, server::col_length;
    "COL_NAME" 2 2 [Int Int] strict sysname, server::col_name;
    "COLUMNPROPERTY" 3 3 [Int Text Text] strict int, server::columnproperty;
    "SCHEMA_NAME" 0 1 [Int] loose sysname, server::schema_name;
    "SCHEMA_ID" 0 1 [Text] loose int, server::schema_id;
    "TYPE_NAME" 1 1 [Int] strict sysname, server::type_name_of;
    "TYPE_ID" 1 1 [Text] strict int, server::type_id;
    "COLLATIONPROPERTY" 2 2 [Text Text] strict variant, server::collationproperty;
    "SQL_VARIANT_PROPERTY" 2 2 [Any Text] strict variant, server::sql_variant_property;
    "FILE_ID" 1 1 [Text] strict smallint, server::file_id;
    "FILE_NAME" 1 1 [Int] strict sysname, server::file_name;
    "APP_NAME" 0 0 [] loose sysname, server::app_name;
    "PROGRAM_NAME" 0 0 [] loose sysname, server::app_name;
    "HOST_NAME" 0 0 [] loose sysname, server::host_name;
    "HOST_ID" 0 0 [] loose char10, server::host_id;
    "SCOPE_IDENTITY" 0 0 [] loose |_| SqlType::Numeric { precision: 38, scale: 0 }, server::scope_identity;
    "IDENT_CURRENT" 1 1 [Text] strict |_| SqlType::Numeric { precision: 38, scale: 0 }, server::ident_current;
    "XACT_STATE" 0 0 [] loose smallint, server::xact_state;
    "ROWCOUNT_BIG" 0 0 [] loose bigint, server::rowcount_big;
    "CURRENT_TRANSACTION_ID" 0 0 [] loose bigint, server::transaction_id;
    "APPLOCK_MODE" 3 3 [Text Text Text] strict |_| SqlType::NVarChar(Some(32)), server::applock_mode;
    "APPLOCK_TEST" 4 4 [Text Text Text Text] strict int, server::applock_test;
    "ERROR_NUMBER" 0 0 [] loose int, server::error_part;
    "ERROR_SEVERITY" 0 0 [] loose int, server::error_part;
    "ERROR_STATE" 0 0 [] loose int, server::error_part;
    "ERROR_LINE" 0 0 [] loose int, server::error_part;
    "ERROR_PROCEDURE" 0 0 [] loose sysname, server::error_part;
    "ERROR_MESSAGE" 0 0 [] loose nvarchar4000, server::error_part;
    "FORMATMESSAGE" 1 20 [Any] loose nvarchar4000, server::formatmessage;
    // Who.
    "SUSER_SNAME" 0 1 [Bytes] loose sysname, security::suser_sname;
    "SUSER_NAME" 0 1 [Int] loose sysname, security::suser_name;
    "SUSER_SID" 0 2 [Text Int] loose sid, security::suser_sid;
    "SUSER_ID" 0 1 [Text] loose int, security::suser_id;
    "ORIGINAL_LOGIN" 0 0 [] loose sysname, security::original_login;
    "SYSTEM_USER" 0 0 [] loose sysname, security::system_user;
    "USER_NAME" 0 1 [Int] loose sysname, security::user_name;
    "USER_ID" 0 1 [Text] loose int, security::user_id;
    "USER" 0 0 [] loose sysname, security::current_user;
    "CURRENT_USER" 0 0 [] loose sysname, security::current_user;
    "SESSION_USER" 0 0 [] loose sysname, security::current_user;
    "DATABASE_PRINCIPAL_ID" 0 1 [Text] loose int, security::user_id;
    "IS_SRVROLEMEMBER" 1 2 [Text Text] strict int, security::is_srvrolemember;
    "IS_MEMBER" 1 1 [Text] strict int, security::is_member;
    "IS_ROLEMEMBER" 1 2 [Text Text] strict int, security::is_member;
    "HAS_DBACCESS" 1 1 [Text] strict int, security::has_dbaccess;
    "HAS_PERMS_BY_NAME" 3 5 [Text Text Text Text Text] loose int, security::has_perms_by_name;
    "PERMISSIONS" 0 2 [Int Text] loose int, security::permissions;
];

/// Aggregates and the special forms that the binder rewrites.
const SPECIAL: &[(&str, usize, usize, bool)] = &[
    ("COUNT", 1, 1, false),
    ("COUNT_BIG", 1, 1, false),
    ("SUM", 1, 1, false),
    ("AVG", 1, 1, false),
    ("MIN", 1, 1, false),
    ("MAX", 1, 1, false),
    ("CHECKSUM_AGG", 1, 1, false),
    ("STRING_AGG", 2, 2, false),
    ("COALESCE", 2, 254, false),
    ("ISNULL", 2, 2, false),
    ("NULLIF", 2, 2, false),
    ("IIF", 3, 3, false),
    ("ROW_NUMBER", 0, 0, true),
    ("RANK", 0, 0, true),
    ("DENSE_RANK", 0, 0, true),
];

/// Whether a name is a function, for the parser.
pub(crate) fn known_function(name: &str) -> Option<Known> {
    if let Some((_, min, max, window)) = SPECIAL.iter().find(|s| s.0 == name) {
        return Some(Known {
            min: *min,
            max: *max,
            datepart: false,
            window: *window,
        });
    }
    let entry = entry(name)?;
    let datepart = matches!(name, "DATEADD" | "DATEDIFF" | "DATEDIFF_BIG" | "DATEPART" | "DATENAME");
    Some(Known {
        min: entry.min,
        max: entry.max,
        datepart,
        window: false,
    })
}

/// A function by its upper-case name.
pub(crate) fn entry(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|e| e.name == name)
}

/// The common type of several expressions; bare NULLs do not count.
pub(crate) fn common(args: &[&Bound]) -> SqlType {
    let mut typed = args.iter().filter(|a| !a.is_null_literal());
    let Some(first) = typed.next() else { return SqlType::Int };
    typed.fold(first.ty.clone(), |ty, a| common_type(&ty, &a.ty))
}

const GLOBALS: &[(&str, SqlType)] = &[
    ("@@SPID", SqlType::SmallInt),
    ("@@SERVERNAME", SqlType::NVarChar(Some(128))),
    ("@@SERVICENAME", SqlType::NVarChar(Some(128))),
    ("@@VERSION", SqlType::NVarChar(Some(300))),
    ("@@ROWCOUNT", SqlType::Int),
    ("@@ERROR", SqlType::Int),
    ("@@TRANCOUNT", SqlType::Int),
    ("@@LANGUAGE", SqlType::NVarChar(Some(128))),
    ("@@LANGID", SqlType::SmallInt),
    ("@@MAX_PRECISION", SqlType::TinyInt),
    ("@@MICROSOFTVERSION", SqlType::Int),
    ("@@OPTIONS", SqlType::Int),
    ("@@DATEFIRST", SqlType::TinyInt),
    ("@@LOCK_TIMEOUT", SqlType::Int),
    ("@@TEXTSIZE", SqlType::Int),
    ("@@NESTLEVEL", SqlType::Int),
    ("@@PROCID", SqlType::Int),
    (
        "@@IDENTITY",
        SqlType::Numeric {
            precision: 38,
            scale: 0,
        },
    ),
    ("@@FETCH_STATUS", SqlType::Int),
    ("@@CURSOR_ROWS", SqlType::Int),
    ("@@MAX_CONNECTIONS", SqlType::Int),
    ("@@CONNECTIONS", SqlType::Int),
    ("@@DBTS", SqlType::VarBinary(Some(8))),
    ("@@REMSERVER", SqlType::NVarChar(Some(128))),
    ("@@CPU_BUSY", SqlType::Int),
    ("@@IDLE", SqlType::Int),
    ("@@IO_BUSY", SqlType::Int),
    ("@@TIMETICKS", SqlType::Int),
    ("@@TOTAL_READ", SqlType::Int),
    ("@@TOTAL_WRITE", SqlType::Int),
];

/// Whether `@@x` is one of the server's.
pub(crate) fn is_global(upper: &str) -> bool {
    GLOBALS.iter().any(|(name, _)| *name == upper)
}

/// `@@x` as an expression.
pub(crate) fn bind_global(upper: &str) -> Bound {
    let ty = GLOBALS
        .iter()
        .find(|(name, _)| *name == upper)
        .map_or(SqlType::Int, |(_, ty)| ty.clone());
    Bound {
        ty,
        nullable: true,
        node: Node::Global(upper.to_owned()),
    }
}

/// The value of `@@x`.
pub(crate) fn global(env: &Env<'_>, upper: &str) -> Value {
    server::global(env.session, upper)
}
