//! Tokens: metadata, rows, messages, changes of the environment, DONE ([MS-TDS] 2.2.7).

use crate::tds::bytes::{put_b_varchar, put_us_varchar};
use crate::tds::version::Version;
use crate::types::{Column, DoneKind, EnvChange, Message, SqlType, Value};

use super::type_info::has_table_name;
use super::{Misfit, put_type_info, put_value};

const TOKEN_RETURN_STATUS: u8 = 0x79;
const TOKEN_COLUMNS: u8 = 0x81;
const TOKEN_ERROR: u8 = 0xAA;
const TOKEN_INFO: u8 = 0xAB;
const TOKEN_RETURN_VALUE: u8 = 0xAC;
const TOKEN_ROW: u8 = 0xD1;
const TOKEN_ENV_CHANGE: u8 = 0xE3;
const TOKEN_DONE: u8 = 0xFD;
const TOKEN_DONE_PROC: u8 = 0xFE;
const TOKEN_DONE_IN_PROC: u8 = 0xFF;

const DONE_MORE: u16 = 0x0001;
const DONE_ERROR: u16 = 0x0002;
const DONE_COUNT: u16 = 0x0010;
const DONE_ATTENTION: u16 = 0x0020;
const DONE_SERVER_ERROR: u16 = 0x0100;

/// ENVCHANGE types.
const ENV_DATABASE: u8 = 1;
const ENV_LANGUAGE: u8 = 2;
const ENV_BEGIN: u8 = 8;
const ENV_COMMIT: u8 = 9;
const ENV_ROLLBACK: u8 = 10;
const ENV_RESET: u8 = 18;

/// Columns may be read; whether they may be written is unknown.
const FLAG_NULLABLE: u16 = 0x0001;
const FLAG_UPDATE_UNKNOWN: u16 = 0x0008;

/// A token's length is two bytes, so a text of three thousand characters always fits beside the names.
const LONGEST_TEXT: u16 = 3000;

/// INFO or ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Info,
    Error,
}

/// A DONE token's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) kind: DoneKind,
    pub(crate) more: bool,
    pub(crate) error: bool,
    pub(crate) attention: bool,
    /// The session ends with this.
    pub(crate) fatal: bool,
    pub(crate) count: Option<u64>,
    pub(crate) cur_cmd: u16,
}

impl Done {
    /// Ends an answer in which no statement ran.
    pub(crate) const EMPTY: Self = Self {
        kind: DoneKind::Done,
        more: false,
        error: false,
        attention: false,
        fatal: false,
        count: None,
        cur_cmd: 0,
    };
    /// Acknowledges an Attention.
    pub(crate) const ATTENTION: Self = Self {
        attention: true,
        ..Self::EMPTY
    };
    /// Ends an answer that is an error only.
    pub(crate) const ERROR: Self = Self {
        error: true,
        ..Self::EMPTY
    };
    /// Ends an answer, and the session.
    pub(crate) const FATAL: Self = Self {
        error: true,
        fatal: true,
        ..Self::EMPTY
    };

    fn status(self) -> u16 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.more, DONE_MORE)
            | bit(self.error, DONE_ERROR)
            | bit(self.count.is_some(), DONE_COUNT)
            | bit(self.attention, DONE_ATTENTION)
            | bit(self.fatal, DONE_SERVER_ERROR)
    }
}

pub(crate) fn put_done(out: &mut Vec<u8>, done: Done, version: Version) {
    out.push(match done.kind {
        DoneKind::Done => TOKEN_DONE,
        DoneKind::DoneProc => TOKEN_DONE_PROC,
        DoneKind::DoneInProc => TOKEN_DONE_IN_PROC,
    });
    out.extend(done.status().to_le_bytes());
    out.extend(done.cur_cmd.to_le_bytes());
    let count = done.count.unwrap_or(0);
    if version.has_large_types() {
        out.extend(count.to_le_bytes());
    } else {
        out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }
}

/// INFO or ERROR. `server` stands in for an empty server name.
pub(crate) fn put_message(out: &mut Vec<u8>, kind: Text, message: &Message, server: &str, version: Version) {
    let mut body = Vec::with_capacity(32 + message.text.len() * 2);
    body.extend(message.number.to_le_bytes());
    body.extend([message.state, class_on_wire(message.class)]);
    put_us_varchar(&mut body, &message.text, LONGEST_TEXT);
    put_b_varchar(
        &mut body,
        if message.server.is_empty() {
            server
        } else {
            &message.server
        },
    );
    put_b_varchar(&mut body, &message.procedure);
    if version.has_large_types() {
        body.extend(message.line.to_le_bytes());
    } else {
        body.extend(u16::try_from(message.line).unwrap_or(u16::MAX).to_le_bytes());
    }
    let token = match kind {
        Text::Info => TOKEN_INFO,
        Text::Error => TOKEN_ERROR,
    };
    put_token(out, token, &body);
}

/// SQL Server converts severity 10 to 0 before it answers, for compatibility: clients take 10 for an error.
fn class_on_wire(class: u8) -> u8 {
    if class == 10 { 0 } else { class }
}

pub(crate) fn put_columns(out: &mut Vec<u8>, columns: &[Column], version: Version) {
    out.push(TOKEN_COLUMNS);
    // SQL Server's own limit is 4,096 columns.
    out.extend((columns.len() as u16).to_le_bytes());
    for column in columns {
        put_user_type(out, version);
        let nullable = if column.nullable { FLAG_NULLABLE } else { 0 };
        out.extend((nullable | FLAG_UPDATE_UNKNOWN).to_le_bytes());
        put_type_info(out, &column.ty, version);
        if has_table_name(&column.ty, version) {
            // No base table, which is an empty US_VARCHAR: only clients before 7.2 get here.
            out.extend([0, 0]);
        }
        put_b_varchar(out, &column.name);
    }
}

pub(crate) fn put_row(
    out: &mut Vec<u8>,
    columns: &[SqlType],
    values: &[Value],
    version: Version,
) -> Result<(), Misfit> {
    out.push(TOKEN_ROW);
    for (ty, value) in columns.iter().zip(values) {
        put_value(out, ty, value, version)?;
    }
    Ok(())
}

pub(crate) fn put_return_status(out: &mut Vec<u8>, status: i32) {
    out.push(TOKEN_RETURN_STATUS);
    out.extend(status.to_le_bytes());
}

pub(crate) fn put_return_value(
    out: &mut Vec<u8>,
    ordinal: u16,
    name: &str,
    ty: &SqlType,
    value: &Value,
    version: Version,
) -> Result<(), Misfit> {
    out.push(TOKEN_RETURN_VALUE);
    out.extend(ordinal.to_le_bytes());
    put_b_varchar(out, name);
    // An output parameter, not the result of a function.
    out.push(0x01);
    put_user_type(out, version);
    out.extend(FLAG_NULLABLE.to_le_bytes());
    put_type_info(out, ty, version);
    put_value(out, ty, value, version)
}

pub(crate) fn put_env_change(out: &mut Vec<u8>, change: &EnvChange) {
    match change {
        EnvChange::Database(new, old) => put_env_text(out, ENV_DATABASE, new, old),
        EnvChange::Language(new, old) => put_env_text(out, ENV_LANGUAGE, new, old),
        EnvChange::BeginTransaction(descriptor) => put_env_bytes(out, ENV_BEGIN, &descriptor.to_le_bytes(), &[]),
        EnvChange::CommitTransaction(descriptor) => put_env_bytes(out, ENV_COMMIT, &[], &descriptor.to_le_bytes()),
        EnvChange::RollbackTransaction(descriptor) => {
            put_env_bytes(out, ENV_ROLLBACK, &[], &descriptor.to_le_bytes());
        }
    }
}

/// Acknowledges the reset bit of a request.
pub(crate) fn put_reset_acknowledgement(out: &mut Vec<u8>) {
    put_env_bytes(out, ENV_RESET, &[], &[]);
}

pub(super) fn put_env_text(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    put_b_varchar(&mut body, new);
    put_b_varchar(&mut body, old);
    put_token(out, TOKEN_ENV_CHANGE, &body);
}

/// `new` and `old` are a few bytes each.
pub(super) fn put_env_bytes(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    let mut body = vec![kind, new.len() as u8];
    body.extend_from_slice(new);
    body.push(old.len() as u8);
    body.extend_from_slice(old);
    put_token(out, TOKEN_ENV_CHANGE, &body);
}

/// A token with a two-byte length; every body here is far below that.
pub(super) fn put_token(out: &mut Vec<u8>, token: u8, body: &[u8]) {
    out.push(token);
    out.extend((body.len() as u16).to_le_bytes());
    out.extend_from_slice(body);
}

/// No user-defined types.
fn put_user_type(out: &mut Vec<u8>, version: Version) {
    if version.has_large_types() {
        out.extend([0; 4]);
    } else {
        out.extend([0; 2]);
    }
}
