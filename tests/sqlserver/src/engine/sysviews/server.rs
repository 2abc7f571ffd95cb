//! Configuration, services and what else the server as a whole shows.

use super::{NVARCHAR60, SYSNAME, Scan, View, bit, columns, int, text};
use crate::engine::errors::Result;
use crate::storage::Row;
use crate::types::SqlType::{BigInt, Bit, DateTime, DateTimeOffset, Int, NVarChar, SmallInt, TinyInt, Variant};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "configurations",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            configuration_id: Int, name: NVarChar(Some(35)), #[null] value: Variant, #[null] minimum: Variant, #[null] maximum: Variant,
            #[null] value_in_use: Variant, description: NVarChar(Some(255)), is_dynamic: Bit, is_advanced: Bit,
        ],
        rows: configurations,
    },
    View {
        schema: "sys",
        name: "dm_server_services",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            servicename: NVarChar(Some(256)), startup_type: Int, startup_type_desc: NVarChar(Some(256)), status: Int, status_desc: NVarChar(Some(256)),
            #[null] process_id: Int, #[null] last_startup_time: DateTimeOffset(7), service_account: NVarChar(Some(256)), filename: NVarChar(Some(256)),
            is_clustered: crate::types::SqlType::NVarChar(Some(1)), #[null] cluster_nodename: NVarChar(Some(256)),
            instant_file_initialization_enabled: NVarChar(Some(1)); 13,
        ],
        rows: services,
    },
    View {
        schema: "sys",
        name: "servers",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![server_id: Int, name: SYSNAME, product: SYSNAME, provider: SYSNAME, #[null] data_source: NVarChar(Some(4000)), is_linked: Bit],
        rows: servers,
    },
    View {
        schema: "sys",
        name: "endpoints",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, endpoint_id: Int, protocol: TinyInt, #[null] protocol_desc: NVARCHAR60, type: TinyInt, #[null] type_desc: NVARCHAR60, #[null] state: TinyInt, #[null] state_desc: NVARCHAR60],
        rows: endpoints,
    },
    View {
        schema: "sys",
        name: "syslanguages",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![langid: SmallInt, dateformat: crate::types::SqlType::NChar(3), datefirst: TinyInt, name: SYSNAME, alias: SYSNAME, lcid: Int],
        rows: languages,
    },
    View {
        schema: "sys",
        name: "dm_os_sys_info",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![cpu_count: Int, hyperthread_ratio: Int, physical_memory_kb: BigInt, sqlserver_start_time: DateTime, scheduler_count: Int, max_workers_count: Int, virtual_machine_type: Int, virtual_machine_type_desc: NVARCHAR60],
        rows: sys_info,
    },
    View {
        schema: "sys",
        name: "dm_os_host_info",
        since: 14,
        function: false,
        arguments: 0,
        columns: columns![host_platform: NVarChar(Some(256)), host_distribution: NVarChar(Some(256)), host_release: NVarChar(Some(256)), host_service_pack_level: NVarChar(Some(256)), #[null] host_sku: Int, os_language_version: Int, host_architecture: NVarChar(Some(256)); 15],
        rows: host_info,
    },
    View {
        schema: "sys",
        name: "messages",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![message_id: Int, language_id: SmallInt, severity: TinyInt, is_event_logged: Bit, text: NVarChar(Some(2048))],
        rows: messages,
    },
    View {
        schema: "sys",
        name: "backup_devices",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![name: SYSNAME, type: TinyInt, #[null] type_desc: NVARCHAR60, #[null] physical_name: NVarChar(Some(260))],
        rows: nothing,
    },
    View {
        schema: "sys",
        name: "dm_server_registry",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] registry_key: NVarChar(Some(256)), #[null] value_name: NVarChar(Some(256)), #[null] value_data: Variant],
        rows: nothing,
    },
];

fn nothing(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(Vec::new())
}

struct Setting {
    id: i32,
    name: &'static str,
    value: i64,
    minimum: i64,
    maximum: i64,
    since: u8,
    advanced: bool,
}

const fn setting(id: i32, name: &'static str, value: i64, maximum: i64, since: u8, advanced: bool) -> Setting {
    Setting {
        id,
        name,
        value,
        minimum: 0,
        maximum,
        since,
        advanced,
    }
}

const SETTINGS: &[Setting] = &[
    setting(101, "recovery interval (min)", 0, 32_767, 0, true),
    setting(102, "allow updates", 0, 1, 0, false),
    setting(103, "user connections", 0, 32_767, 0, true),
    setting(117, "remote access", 1, 1, 0, false),
    setting(124, "default language", 0, 9999, 0, false),
    setting(503, "max worker threads", 0, 65_535, 0, true),
    setting(505, "network packet size (B)", 4096, 32_767, 0, true),
    setting(518, "show advanced options", 0, 1, 0, false),
    setting(1538, "cost threshold for parallelism", 5, 32_767, 0, true),
    setting(1539, "max degree of parallelism", 0, 32_767, 0, true),
    setting(1543, "min server memory (MB)", 0, 2_147_483_647, 0, true),
    setting(1544, "max server memory (MB)", 2_147_483_647, 2_147_483_647, 0, true),
    setting(1562, "clr enabled", 0, 1, 0, false),
    setting(1573, "backup checksum default", 0, 1, 12, false),
    setting(1579, "backup compression default", 0, 1, 0, false),
    setting(1580, "filestream access level", 0, 2, 0, false),
    setting(1581, "optimize for ad hoc workloads", 0, 1, 0, true),
    setting(1584, "backup compression algorithm", 0, 3, 16, false),
    setting(1587, "clr strict security", 1, 1, 14, true),
    setting(16_390, "xp_cmdshell", 0, 1, 0, true),
    setting(16_393, "contained database authentication", 0, 1, 0, false),
    setting(16_387, "SMO and DMO XPs", 1, 1, 0, true),
    setting(16_384, "Agent XPs", 0, 1, 0, true),
];

fn configurations(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let config = scan.session.inst.config();
    let major = config.version().0;
    let row = |s: &Setting| {
        let value = match s.name {
            "backup compression default" => i64::from(config.backup_compression_default),
            "backup checksum default" => i64::from(config.backup_checksum_default),
            "max server memory (MB)" => config.max_server_memory_mb,
            _ => s.value,
        };
        vec![
            int(s.id),
            text(s.name),
            int(value),
            int(s.minimum),
            int(s.maximum),
            int(value),
            text(s.name),
            bit(true),
            bit(s.advanced),
        ]
    };
    Ok(SETTINGS.iter().filter(|s| s.since <= major).map(row).collect())
}

/// LocalDB is no service: no row.
fn services(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let config = scan.session.inst.config();
    if config.is_localdb {
        return Ok(Vec::new());
    }
    let instance = config.instance_name.clone().unwrap_or_else(|| "MSSQLSERVER".to_owned());
    let started = crate::engine::eval::convert::moment_value(
        scan.session.inst.started,
        scan.session.inst.offset(),
        &DateTimeOffset(7),
    );
    let row = |name: String, account: &str, file: &str, process: Value| {
        vec![
            text(name),
            int(2),
            text("Automatic"),
            int(4),
            text("Running"),
            process,
            started.clone(),
            text(account),
            text(format!(
                "\"C:\\Program Files\\Microsoft SQL Server\\MSSQL{}.{instance}\\MSSQL\\Binn\\{file}\" -s{instance}",
                config.version().0
            )),
            text("N"),
            Value::Null,
            text("N"),
        ]
    };
    let mut rows = vec![row(
        format!("SQL Server ({instance})"),
        &config.service_account,
        "sqlservr.exe",
        int(std::process::id()),
    )];
    if config.engine_edition != 4 {
        rows.push(row(
            format!("SQL Server Agent ({instance})"),
            "NT SERVICE\\SQLSERVERAGENT",
            "SQLAGENT.EXE",
            Value::Null,
        ));
    }
    Ok(rows)
}

fn servers(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let name = scan.session.inst.config().server_name.clone();
    Ok(vec![vec![
        int(0),
        text(name.as_str()),
        text("SQL Server"),
        text("SQLNCLI"),
        text(name),
        bit(false),
    ]])
}

fn endpoints(_: &Scan<'_>) -> Result<Vec<Row>> {
    Ok(vec![vec![
        text("TSQL Default TCP"),
        int(4),
        int(2),
        text("TCP"),
        int(2),
        text("TSQL"),
        int(0),
        text("STARTED"),
    ]])
}

fn languages(_: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |id: i64, format: &str, first: i64, name: &str, alias: &str, lcid: i64| {
        vec![int(id), text(format), int(first), text(name), text(alias), int(lcid)]
    };
    Ok(vec![
        row(0, "mdy", 7, "us_english", "English", 1033),
        row(1, "dmy", 1, "Deutsch", "German", 1031),
    ])
}

fn sys_info(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let started = scan.moment(scan.session.inst.started);
    Ok(vec![vec![
        int(4),
        int(1),
        int(16_777_216),
        started,
        int(4),
        int(512),
        int(1),
        text("HYPERVISOR"),
    ]])
}

fn host_info(_: &Scan<'_>) -> Result<Vec<Row>> {
    let os = [
        text("Windows"),
        text("Windows Server 2022 Standard"),
        text("10.0"),
        text(""),
        int(7),
        int(1033),
        text("X64"),
    ];
    Ok(vec![os.to_vec()])
}

/// The messages that scripts look for; the full list has thousands.
fn messages(_: &Scan<'_>) -> Result<Vec<Row>> {
    let numbers = [
        102, 156, 207, 208, 262, 911, 1827, 1834, 3013, 3014, 3021, 3154, 3201, 3211, 3257, 3262, 4035, 5061, 5069,
    ];
    let row = |n: &i32| {
        let message = crate::engine::errors::message(*n, &[&"%ls", &"%ls", &"%ls", &"%ls"]);
        vec![int(*n), int(1033), int(message.class), bit(false), text(message.text)]
    };
    Ok(numbers.iter().map(row).collect())
}
