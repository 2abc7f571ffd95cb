//! Availability groups: `sys.availability_*` and `sys.dm_hadr_*`. The DMVs need the right to see the server's state.

use super::{LSN, NVARCHAR60, SYSNAME, Scan, View, bit, columns, int, text};
use crate::engine::availability::{Availability, Group, Role};
use crate::engine::errors::Result;
use crate::storage::Row;
use crate::types::SqlType::{Bit, Guid, Int, NVarChar, TinyInt};
use crate::types::Value;

pub(super) static VIEWS: &[View] = &[
    View {
        schema: "sys",
        name: "dm_hadr_database_replica_states",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            database_id: Int, group_id: Guid, replica_id: Guid, group_database_id: Guid, #[null] is_local: Bit, #[null] is_primary_replica: Bit; 12,
            #[null] synchronization_state: TinyInt, #[null] synchronization_state_desc: NVARCHAR60, #[null] database_state: TinyInt, #[null] database_state_desc: NVARCHAR60,
        ],
        rows: database_states,
    },
    View {
        schema: "sys",
        name: "dm_hadr_availability_replica_states",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![replica_id: Guid, group_id: Guid, is_local: Bit, #[null] role: TinyInt, #[null] role_desc: NVARCHAR60],
        rows: replica_states,
    },
    View {
        schema: "sys",
        name: "availability_groups",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![group_id: Guid, #[null] name: SYSNAME, #[null] resource_id: NVarChar(Some(40)), #[null] failure_condition_level: Int, #[null] health_check_timeout: Int],
        rows: groups,
    },
    View {
        schema: "sys",
        name: "availability_databases_cluster",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![group_id: Guid, group_database_id: Guid, #[null] database_name: SYSNAME, #[null] truncation_lsn: LSN],
        rows: databases,
    },
    View {
        schema: "sys",
        name: "availability_replicas",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![
            #[null] replica_id: Guid, #[null] group_id: Guid, #[null] replica_metadata_id: Int, #[null] replica_server_name: NVarChar(Some(256)),
            #[null] endpoint_url: NVarChar(Some(128)), #[null] availability_mode: TinyInt, #[null] availability_mode_desc: NVARCHAR60,
            #[null] failover_mode: TinyInt, #[null] failover_mode_desc: NVARCHAR60,
        ],
        rows: replicas,
    },
    View {
        schema: "sys",
        name: "availability_group_listeners",
        since: 0,
        function: false,
        arguments: 0,
        columns: columns![#[null] group_id: Guid, #[null] listener_id: NVarChar(Some(36)), #[null] dns_name: NVarChar(Some(63)), #[null] port: Int, #[null] is_conformant: Bit],
        rows: listeners,
    },
];

fn known(scan: &Scan<'_>) -> Availability {
    scan.session.inst.availability().unwrap_or_default()
}

fn groups(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |g: &Group| {
        vec![
            Value::Guid(g.group_id),
            text(g.name.as_str()),
            Value::Null,
            int(3),
            int(30_000),
        ]
    };
    Ok(known(scan).groups.iter().map(row).collect())
}

fn replicas(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let own = scan.session.inst.config().server_name.clone();
    let mut rows = Vec::new();
    for group in &known(scan).groups {
        let others = group.others.iter().map(|r| (r.replica_id, r.server_name.as_str()));
        for (n, (id, name)) in std::iter::once((group.replica_id, own.as_str()))
            .chain(others)
            .enumerate()
        {
            rows.push(vec![
                Value::Guid(id),
                Value::Guid(group.group_id),
                int(i32::try_from(n + 1).unwrap_or(i32::MAX)),
                text(name),
                text(format!("TCP://{name}:5022")),
                int(1),
                text("SYNCHRONOUS_COMMIT"),
                int(1),
                text("MANUAL"),
            ]);
        }
    }
    Ok(rows)
}

fn listeners(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let row = |g: &Group| {
        let listener = g.listener.as_ref()?;
        Some(vec![
            Value::Guid(g.group_id),
            text(g.group_id.to_string()),
            text(listener.dns_name.as_str()),
            int(listener.port),
            bit(true),
        ])
    };
    Ok(known(scan).groups.iter().filter_map(row).collect())
}

fn databases(scan: &Scan<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for group in &known(scan).groups {
        for member in &group.databases {
            rows.push(vec![
                Value::Guid(group.group_id),
                Value::Guid(member.group_database_id),
                text(member.name.as_str()),
                Value::Null,
            ]);
        }
    }
    Ok(rows)
}

/// A secondary knows its own state only.
fn replica_states(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let row = |id, group: &Group, local: bool, role: Role| {
        vec![
            Value::Guid(id),
            Value::Guid(group.group_id),
            bit(local),
            int(role.code().0),
            text(role.code().1),
        ]
    };
    let mut rows = Vec::new();
    for group in &known(scan).groups {
        rows.push(row(group.replica_id, group, true, group.role));
        if group.role == Role::Primary {
            let others = group.others.iter();
            rows.extend(others.map(|r| row(r.replica_id, group, false, Role::Secondary)));
        }
    }
    Ok(rows)
}

fn database_states(scan: &Scan<'_>) -> Result<Vec<Row>> {
    scan.needs_state()?;
    let mut rows = Vec::new();
    for group in &known(scan).groups {
        for member in &group.databases {
            let Some(handle) = scan.session.inst.find(&member.name) else {
                continue;
            };
            rows.push(vec![
                int(handle.id),
                Value::Guid(group.group_id),
                Value::Guid(group.replica_id),
                Value::Guid(member.group_database_id),
                bit(true),
                bit(group.role == Role::Primary),
                int(2),
                text("SYNCHRONIZED"),
                int(0),
                text("ONLINE"),
            ]);
        }
    }
    Ok(rows)
}
