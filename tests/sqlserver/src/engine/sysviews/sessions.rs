//! Sessions, connections, requests and locks. `dm_exec_sessions` is filtered to one's own rows without the right to
//! see others; the rest refuses with 300 and 297.

use super::{NVARCHAR60, SYSNAME, Scan, View, bit, bytes, columns, int, maybe, text};
use crate::engine::errors::{Result, err};
use crate::engine::eval::text::prefix;
use crate::engine::instance::{Activity, SessionInfo};
use crate::engine::locks::{Held, Owner, Resource};
use crate::storage::Row;
use crate::types::SqlType::{BigInt, Bit, DateTime, Guid, Int, NVarChar, Real, SmallInt, VarBinary};
use crate::types::Value;

const NVARCHAR30: crate::types::SqlType = NVarChar(Some(30));

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "dm_exec_sessions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            session_id: SmallInt, login_time: DateTime, #[null] host_name: SYSNAME, #[null] program_name: SYSNAME, #[null] host_process_id: Int,
            #[null] client_version: Int, #[null] client_interface_name: NVarChar(Some(32)), security_id: VarBinary(Some(85)), login_name: SYSNAME,
            #[null] nt_domain: SYSNAME, #[null] nt_user_name: SYSNAME, status: NVARCHAR30, #[null] context_info: VarBinary(Some(128)), cpu_time: Int,
            memory_usage: Int, total_scheduled_time: Int, total_elapsed_time: Int, endpoint_id: Int, last_request_start_time: DateTime,
            #[null] last_request_end_time: DateTime, reads: BigInt, writes: BigInt, logical_reads: BigInt, is_user_process: Bit, text_size: Int,
            #[null] language: SYSNAME, #[null] date_format: NVarChar(Some(3)), date_first: SmallInt, quoted_identifier: Bit, arithabort: Bit,
            ansi_null_dflt_on: Bit, ansi_defaults: Bit, ansi_warnings: Bit, ansi_padding: Bit, ansi_nulls: Bit, concat_null_yields_null: Bit,
            transaction_isolation_level: SmallInt, lock_timeout: Int, deadlock_priority: Int, row_count: BigInt, prev_error: Int,
            original_security_id: VarBinary(Some(85)), original_login_name: SYSNAME, #[null] last_successful_logon: DateTime,
            #[null] last_unsuccessful_logon: DateTime, #[null] unsuccessful_logons: BigInt, group_id: Int, database_id: SmallInt,
            #[null] authenticating_database_id: Int, open_transaction_count: Int, page_server_reads: BigInt; 15,
        ],
        rows: sessions,
    },
    View {
        schema: "sys",
        name: "dm_exec_connections",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            #[null] session_id: Int, #[null] most_recent_session_id: Int, connect_time: DateTime, net_transport: NVarChar(Some(40)),
            #[null] protocol_type: NVarChar(Some(40)), #[null] protocol_version: Int, #[null] endpoint_id: Int, encrypt_option: NVarChar(Some(40)),
            auth_scheme: NVarChar(Some(40)), #[null] node_affinity: SmallInt, #[null] num_reads: Int, #[null] num_writes: Int,
            #[null] last_read: DateTime, #[null] last_write: DateTime, #[null] net_packet_size: Int, #[null] client_net_address: NVarChar(Some(48)),
            #[null] client_tcp_port: Int, #[null] local_net_address: NVarChar(Some(48)), #[null] local_tcp_port: Int, connection_id: Guid,
            #[null] parent_connection_id: Guid, #[null] most_recent_sql_handle: VarBinary(Some(64)),
        ],
        rows: connections,
    },
    View {
        schema: "sys",
        name: "dm_exec_requests",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            session_id: SmallInt, request_id: Int, start_time: DateTime, status: NVARCHAR30, command: NVarChar(Some(32)),
            #[null] sql_handle: VarBinary(Some(64)), #[null] statement_start_offset: Int, #[null] statement_end_offset: Int,
            #[null] plan_handle: VarBinary(Some(64)), database_id: SmallInt, user_id: Int, #[null] connection_id: Guid,
            #[null] blocking_session_id: SmallInt, #[null] wait_type: NVARCHAR60, wait_time: Int, last_wait_type: NVARCHAR60,
            wait_resource: NVarChar(Some(256)), open_transaction_count: Int, open_resultset_count: Int, transaction_id: BigInt,
            #[null] context_info: VarBinary(Some(128)), percent_complete: Real, estimated_completion_time: BigInt, cpu_time: Int,
            total_elapsed_time: Int, scheduler_id: Int, #[null] task_address: VarBinary(Some(8)), reads: BigInt, writes: BigInt, logical_reads: BigInt,
            text_size: Int, #[null] language: SYSNAME, #[null] date_format: NVarChar(Some(3)), date_first: SmallInt, quoted_identifier: Bit,
            arithabort: Bit, ansi_null_dflt_on: Bit, ansi_defaults: Bit, ansi_warnings: Bit, ansi_padding: Bit, ansi_nulls: Bit,
            concat_null_yields_null: Bit, transaction_isolation_level: SmallInt, lock_timeout: Int, deadlock_priority: Int, row_count: BigInt,
            prev_error: Int, nest_level: Int, granted_query_memory: Int, executing_managed_code: Bit,
        ],
        rows: requests,
    },
    View {
        schema: "sys",
        name: "dm_tran_locks",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            resource_type: NVARCHAR60, resource_subtype: NVARCHAR60, resource_database_id: Int, #[null] resource_description: NVarChar(Some(256)),
            #[null] resource_associated_entity_id: BigInt, resource_lock_partition: Int, request_mode: NVARCHAR60, request_type: NVARCHAR60,
            request_status: NVARCHAR60, request_reference_count: SmallInt, request_lifetime: Int, request_session_id: Int, request_exec_context_id: Int,
            request_request_id: Int, request_owner_type: NVARCHAR60, #[null] request_owner_id: BigInt, #[null] request_owner_guid: Guid,
            #[null] request_owner_lockspace_id: NVarChar(Some(32)), lock_owner_address: VarBinary(Some(8)),
        ],
        rows: locks,
    },
    View {
        schema: "sys",
        name: "dm_tran_session_transactions",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![session_id: Int, transaction_id: BigInt, transaction_descriptor: crate::types::SqlType::Binary(8), enlist_count: Int, is_user_transaction: Bit, is_local: Bit, open_transaction_count: Int],
        rows: session_transactions,
    },
    View {
        schema: "sys",
        name: "dm_exec_sql_text",
        since: 0,
        function: true,
        arguments: 1,
        columns: columns![#[null] dbid: SmallInt, #[null] objectid: Int, #[null] number: SmallInt, encrypted: Bit, #[null] text: NVarChar(None)],
        rows: sql_text,
    },
    View {
        schema: "sys",
        name: "dm_exec_input_buffer",
        since: 12,
        function: true,
        arguments: 2,
        columns: columns![event_type: NVarChar(Some(256)), parameters: SmallInt, #[null] event_info: NVarChar(None)],
        rows: input_buffer,
    },
    View {
        schema: "sys",
        name: "sysprocesses",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![spid: SmallInt, kpid: SmallInt, blocked: SmallInt, dbid: SmallInt, open_tran: SmallInt, status: crate::types::SqlType::NChar(30), hostname: crate::types::SqlType::NChar(128), program_name: crate::types::SqlType::NChar(128), cmd: crate::types::SqlType::NChar(26), loginame: crate::types::SqlType::NChar(128), last_batch: DateTime, login_time: DateTime],
        rows: processes,
    },
];

fn seen(scan: &Scan<'_>) -> Vec<std::sync::Arc<SessionInfo>> {
    let all = scan.session.can_view_state();
    let own = scan.session.spid();
    scan.session
        .inst
        .sessions()
        .into_iter()
        .filter(|s| all || s.spid == own)
        .collect()
}

fn millis(from: time::OffsetDateTime, to: time::OffsetDateTime) -> i64 {
    i64::try_from((to - from).whole_milliseconds().max(0)).unwrap_or(i64::MAX)
}

fn short(n: i64) -> Value {
    int(n.min(i64::from(i32::MAX)))
}

/// The SID of a login that may be gone.
fn sid_of(scan: &Scan<'_>, name: &str, known: &[u8]) -> Value {
    scan.session
        .inst
        .config()
        .login(name)
        .map_or_else(|| bytes(known), |l| bytes(&l.sid))
}

fn status(activity: &Activity) -> &'static str {
    if activity.running { "running" } else { "sleeping" }
}

/// The options columns that sessions and requests share, from text_size to prev_error.
fn options(activity: &Activity) -> Vec<Value> {
    let on = || bit(true);
    let mut row = vec![
        int(2_147_483_647),
        text("us_english"),
        text("mdy"),
        int(7),
        on(),
        bit(false),
        on(),
        bit(false),
    ];
    row.extend([
        on(),
        on(),
        on(),
        on(),
        int(activity.isolation),
        int(-1),
        int(0),
        int(0),
        int(0),
    ]);
    row
}

fn sessions(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let now = scan.session.inst.now();
    let row = |s: &std::sync::Arc<SessionInfo>| {
        let a = s.activity().clone();
        let cpu = int(0);
        let mut row = vec![
            int(s.spid),
            scan.moment(s.connected),
            text(s.login.host_name.as_str()),
            text(s.login.app_name.as_str()),
            int(s.login.client_pid),
            int(7),
            text(prefix(&s.login.library, 32)),
            sid_of(scan, &a.login_name, &a.sid),
            text(a.login_name.as_str()),
            maybe(a.login_name.split_once('\\').map(|p| p.0)),
            maybe(a.login_name.split_once('\\').map(|p| p.1)),
            text(status(&a)),
            Value::Bytes(Vec::new().into()),
            cpu,
            int(4),
            int(0),
            short(millis(s.connected, now)),
            int(4),
            scan.moment(a.request_started),
            scan.moment(a.request_ended),
            int(0),
            int(0),
            int(0),
            bit(true),
        ];
        row.extend(options(&a));
        row.extend([
            bytes(&a.sid),
            text(a.original_login.as_str()),
            Value::Null,
            Value::Null,
            Value::Null,
            int(2),
            int(a.database_id),
            int(1),
            int(a.transactions),
            int(0),
        ]);
        row
    };
    Ok(seen(scan).iter().map(row).collect())
}

fn connections(scan: &Scan<'_>) -> Result<Vec<Row>> {
    // From SQL Server 2022 on, connections need another right than sessions.
    if !scan.session.can_view_security_state() {
        return Err(err!(300, scan.session.security_permission()).then(err!(297)));
    }
    let row = |s: &std::sync::Arc<SessionInfo>| {
        let a = s.activity().clone();
        vec![
            int(s.spid),
            int(s.spid),
            scan.moment(s.connected),
            text("TCP"),
            text("TSQL"),
            int(1_946_157_060),
            int(4),
            text(if s.login.encrypted { "TRUE" } else { "FALSE" }),
            text("SQL"),
            int(0),
            int(1),
            int(1),
            scan.moment(a.request_started),
            scan.moment(a.request_ended),
            int(4096),
            text(s.login.client_address.as_str()),
            Value::Null,
            text("127.0.0.1"),
            int(1433),
            Value::Guid(s.connection_id),
            Value::Null,
            handle(s),
        ]
    };
    Ok(seen(scan).iter().map(row).collect())
}

/// Not a hash, but a handle that `dm_exec_sql_text` understands.
fn handle(s: &SessionInfo) -> Value {
    let mut handle = vec![2, 0, 0, 0];
    handle.extend(s.spid.to_be_bytes());
    handle.resize(44, 0);
    Value::Bytes(handle.into())
}

fn requests(scan: &Scan<'_>) -> Result<Vec<Row>> {
    // One's own request is visible to everybody.
    let now = scan.session.inst.now();
    let mut rows = Vec::new();
    for s in seen(scan) {
        let a = s.activity().clone();
        if !a.running {
            continue;
        }
        let elapsed = millis(a.request_started, now);
        let percent = f64::from(a.percent);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "an estimate in milliseconds"
        )]
        let left = if percent > 0.0 {
            (elapsed as f64 * (100.0 - percent) / percent) as i64
        } else {
            0
        };
        let blocker = scan.session.inst.locks.blocked_by(s.spid);
        let wait = if blocker.is_some() { Some("LCK_M_X") } else { a.wait };
        let state = if wait.is_some() { "suspended" } else { "running" };
        let mut row = vec![
            int(s.spid),
            int(0),
            scan.moment(a.request_started),
            text(state),
            text(prefix(&a.command, 32)),
            handle(&s),
            int(0),
            int(-1),
            Value::Null,
            int(a.database_id),
            int(1),
            Value::Guid(s.connection_id),
            int(blocker.unwrap_or(0)),
            maybe(wait),
            int(0),
            text(a.wait.unwrap_or("MISCELLANEOUS")),
            text(""),
            int(a.transactions),
            int(1),
            int(0),
            Value::Bytes(Vec::new().into()),
            Value::Float(percent),
            int(left),
            int(0),
            short(elapsed),
            int(0),
            Value::Null,
            int(0),
            int(0),
            int(0),
        ];
        row.extend(options(&a));
        row.extend([int(0), int(0), bit(false)]);
        rows.push(row);
    }
    Ok(rows)
}

fn locks(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let mut rows = Vec::new();
    for s in scan.session.inst.sessions() {
        let a = s.activity().clone();
        let mut databases = a.written.clone();
        databases.push(a.database_id);
        databases.extend(a.target);
        databases.sort_unstable();
        databases.dedup();
        // Being in a database is a shared lock on it; master and tempdb show none.
        for id in databases.into_iter().filter(|id| *id > 2) {
            let mode = if a.target == Some(id) { "X" } else { "S" };
            rows.push(lock_row(
                "DATABASE",
                id,
                "",
                0,
                mode,
                "GRANT",
                1,
                s.spid,
                "SHARED_TRANSACTION_WORKSPACE",
            ));
        }
    }
    rows.extend(scan.session.inst.locks.list().iter().map(held_row));
    Ok(rows)
}

fn held_row(held: &Held) -> Row {
    let (kind, database, description, entity) = match &held.resource {
        Resource::Table(database, object) => ("OBJECT", *database, String::new(), *object),
        Resource::Part(database, part) => ("METADATA", *database, format!("{part:?}").to_uppercase(), 0),
        Resource::App(database, principal, name) => {
            let id = if principal.eq_ignore_ascii_case("public") { 0 } else { 1 };
            let shown: String = name.chars().take(32).collect();
            (
                "APPLICATION",
                *database,
                format!("{id}:[{shown}]:({:08x})", crc32fast::hash(name.as_bytes())),
                id,
            )
        }
    };
    let owner = if held.owner == Owner::Session {
        "SESSION"
    } else {
        "TRANSACTION"
    };
    let status = if held.granted { "GRANT" } else { "WAIT" };
    lock_row(
        kind,
        database,
        &description,
        entity,
        held.mode.code(),
        status,
        held.count,
        held.session,
        owner,
    )
}

#[expect(clippy::too_many_arguments, reason = "the columns of one row")]
fn lock_row(
    kind: &str,
    database: i32,
    description: &str,
    entity: i32,
    mode: &str,
    status: &str,
    count: u32,
    spid: u16,
    owner: &str,
) -> Row {
    vec![
        text(kind),
        text(""),
        int(database),
        text(description),
        int(entity),
        int(0),
        text(mode),
        text("LOCK"),
        text(status),
        int(count),
        int(0),
        int(spid),
        int(0),
        int(0),
        text(owner),
        int(0),
        Value::Guid(uuid::Uuid::nil()),
        Value::Null,
        Value::Bytes(vec![0; 8].into()),
    ]
}

fn session_transactions(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let open = scan
        .session
        .inst
        .sessions()
        .into_iter()
        .filter(|s| s.activity().transactions > 0);
    let row = |s: std::sync::Arc<SessionInfo>| {
        let count = s.activity().transactions;
        vec![
            int(s.spid),
            int(i64::from(s.spid) + 1000),
            Value::Bytes(vec![0; 8].into()),
            int(1),
            bit(true),
            bit(true),
            int(count),
        ]
    };
    Ok(open.map(row).collect())
}

fn sql_text(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let Some(Value::Bytes(handle)) = scan.args.first() else {
        return Ok(Vec::new());
    };
    let spid = handle.get(4..6).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let found = scan.session.inst.sessions().into_iter().find(|s| Some(s.spid) == spid);
    Ok(found
        .map(|s| {
            vec![
                Value::Null,
                Value::Null,
                Value::Null,
                bit(false),
                text(s.activity().text.as_str()),
            ]
        })
        .into_iter()
        .collect())
}

fn input_buffer(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let Some(Value::Int(spid)) = scan.args.first() else {
        return Ok(Vec::new());
    };
    let found = seen(scan).into_iter().find(|s| i64::from(s.spid) == *spid);
    Ok(found
        .map(|s| vec![text("Language Event"), int(0), text(s.activity().text.as_str())])
        .into_iter()
        .collect())
}

fn processes(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let padded = |s: &str, n: usize| text(format!("{s:<n$}"));
    let row = |s: &std::sync::Arc<SessionInfo>| {
        let a = s.activity().clone();
        vec![
            int(s.spid),
            int(0),
            int(scan.session.inst.locks.blocked_by(s.spid).unwrap_or(0)),
            int(a.database_id),
            int(a.transactions),
            padded(status(&a), 30),
            padded(&s.login.host_name, 128),
            padded(&s.login.app_name, 128),
            padded(if a.running { &a.command } else { "AWAITING COMMAND" }, 26),
            padded(&a.login_name, 128),
            scan.moment(a.request_started),
            scan.moment(s.connected),
        ]
    };
    Ok(seen(scan).iter().map(row).collect())
}
