//! Procedures that tell about the server: registry, version, sessions, databases, configuration, statistics.

use super::Call;
use crate::engine::errors::{Result, err, msg};
use crate::engine::interpreter::Run;
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::storage::Row;
use crate::types::{Column, SqlType, Value};

fn column(name: &str, ty: SqlType) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        nullable: true,
    }
}

fn text(value: impl Into<std::sync::Arc<str>>) -> Value {
    Value::Str(value.into())
}

async fn answer(out: &mut Out<'_>, columns: Vec<Column>, rows: Vec<Row>) -> Run<i32> {
    let count = out.rows(columns, rows).await?;
    out.done(false, Some(count), command::SELECT).await?;
    Ok(0)
}

/// `xp_instance_regread root, key, value [, @out OUTPUT]`: the few values that setup writes. LocalDB has none.
pub(super) async fn registry(session: &Session, out: &mut Out<'_>, call: &mut Call) -> Run<i32> {
    let args = call.bind(
        "xp_instance_regread",
        &["@rootkey", "@key", "@value_name", "@value", "@no_output"],
    )?;
    let (key, name) = (
        args.text(1).unwrap_or_default().to_lowercase(),
        args.text(2).unwrap_or_default(),
    );
    let config = session.inst.config();
    let found = if config.is_localdb || !key.ends_with("mssqlserver") {
        None
    } else {
        match name.to_lowercase().as_str() {
            "backupdirectory" => Some(config.backup_path.trim_end_matches('\\').to_owned()),
            "defaultdata" => Some(config.data_path.trim_end_matches('\\').to_owned()),
            "defaultlog" => Some(config.log_path.trim_end_matches('\\').to_owned()),
            _ => None,
        }
    };
    if let Some(at) = args.position(3).filter(|at| call.args[*at].output) {
        let value = found.map_or(Value::Null, text);
        call.outputs.push((at, value, SqlType::NVarChar(Some(4000))));
        return Ok(0);
    }
    let Some(found) = found else {
        let message = "RegQueryValueEx() returned error 2, 'The system cannot find the file specified.'";
        out.info(msg!(22_001, message)).await?;
        return Ok(1);
    };
    let columns = vec![
        column("Value", SqlType::NVarChar(Some(128))),
        column("Data", SqlType::NVarChar(Some(4000))),
    ];
    answer(out, columns, vec![vec![text(name), text(found)]]).await
}

/// `xp_msver`.
pub(super) async fn version(session: &Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    let args = call.bind("xp_msver", &["@optname"])?;
    let config = session.inst.config();
    let all = [
        ("ProductName", Value::Null, "Microsoft SQL Server".to_owned()),
        (
            "ProductVersion",
            Value::Int(config.version().0.into()),
            config.product_version.clone(),
        ),
        ("Language", Value::Int(1033), "English (United States)".to_owned()),
        ("Platform", Value::Null, "NT x64".to_owned()),
        ("ProcessorCount", Value::Int(4), "4".to_owned()),
        ("PhysicalMemory", Value::Int(16_384), "16384".to_owned()),
    ];
    let wanted = args.text(0);
    let columns = vec![
        column("Index", SqlType::Int),
        column("Name", SqlType::NVarChar(Some(32))),
        column("Internal_Value", SqlType::Int),
        column("Character_Value", SqlType::NVarChar(Some(256))),
    ];
    let mut rows = Vec::new();
    for (i, (name, number, shown)) in all.into_iter().enumerate() {
        if wanted.as_ref().is_none_or(|w| w.eq_ignore_ascii_case(name)) {
            rows.push(vec![
                Value::Int(i64::try_from(i + 1).unwrap_or(0)),
                text(name),
                number,
                text(shown),
            ]);
        }
    }
    answer(out, columns, rows).await
}

/// `sp_updatestats`: there are no statistics; the messages are SQL Server's.
pub(super) async fn update_statistics(session: &Session, out: &mut Out<'_>) -> Run<i32> {
    let handle = session.handle()?;
    let database = session.view(&handle);
    if !session.may_alter(&database, handle.id) {
        return Err(err!(15_247).into());
    }
    session.writable_or_fail(&handle)?;
    for table in &database.tables {
        out.info(msg!(15_650, format!("[{}].[{}]", table.schema, table.name)))
            .await?;
        out.info(msg!(15_651, 0, 0)).await?;
    }
    out.info(msg!(15_005)).await?;
    Ok(0)
}

/// `sp_who2`.
pub(super) async fn who(session: &Session, out: &mut Out<'_>) -> Run<i32> {
    let wide = |n| SqlType::NVarChar(Some(n));
    let columns = vec![
        column("SPID", SqlType::Char(5)),
        column("Status", wide(30)),
        column("Login", wide(128)),
        column("HostName", wide(128)),
        column("BlkBy", SqlType::Char(5)),
        column("DBName", wide(128)),
        column("Command", wide(32)),
        column("CPUTime", SqlType::Int),
        column("DiskIO", SqlType::Int),
        column("LastBatch", wide(32)),
        column("ProgramName", wide(128)),
        column("SPID", SqlType::Char(5)),
        column("REQUESTID", SqlType::Char(5)),
    ];
    let all = session.can_view_state();
    let mut rows = Vec::new();
    for info in session
        .inst
        .sessions()
        .into_iter()
        .filter(|s| all || s.spid == session.spid())
    {
        let a = info.activity().clone();
        let blocker = session
            .inst
            .locks
            .blocked_by(info.spid)
            .map_or_else(|| "  .  ".to_owned(), |b| format!("{b:<5}"));
        let spid = format!("{:<5}", info.spid);
        rows.push(vec![
            text(spid.as_str()),
            text(if a.running { "RUNNABLE" } else { "sleeping" }),
            text(a.login_name.as_str()),
            text(info.login.host_name.as_str()),
            text(blocker),
            text(session.inst.handle(a.database_id).map(|h| h.name()).unwrap_or_default()),
            text(if a.running {
                a.command.as_str()
            } else {
                "AWAITING COMMAND"
            }),
            Value::Int(0),
            Value::Int(0),
            text(a.request_started.time().to_string()),
            text(info.login.app_name.as_str()),
            text(spid.as_str()),
            text("0    "),
        ]);
    }
    answer(out, columns, rows).await
}

fn size_kb(database: &crate::storage::Database) -> i64 {
    database.files.iter().map(|f| i64::from(f.size_pages) * 8).sum()
}

/// `sp_helpdb [name]`.
pub(super) async fn help_database(session: &Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    let args = call.bind("sp_helpdb", &["@dbname"])?;
    let wanted = args.text(0);
    if let Some(name) = wanted.as_ref().filter(|n| session.inst.find(n).is_none()) {
        return Err(err!(15_010, name).into());
    }
    let columns = vec![
        column("name", SqlType::NVarChar(Some(128))),
        column("db_size", SqlType::NVarChar(Some(13))),
        column("owner", SqlType::NVarChar(Some(128))),
        column("dbid", SqlType::SmallInt),
        column("created", SqlType::NVarChar(Some(11))),
        column("status", SqlType::NVarChar(Some(600))),
        column("compatibility_level", SqlType::TinyInt),
    ];
    let config = session.inst.config();
    let mut rows = Vec::new();
    for handle in session.inst.handles() {
        let database = handle.database();
        let m = &database.meta;
        if wanted.as_ref().is_some_and(|w| !w.eq_ignore_ascii_case(&m.name)) {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let megabytes = size_kb(&database) as f64 / 1024.0;
        let status = format!(
            "Status={}, Updateability={}, UserAccess={}, Recovery={}",
            m.state.code().1,
            if m.is_read_only { "READ_ONLY" } else { "READ_WRITE" },
            m.user_access.code().1,
            m.recovery_model.code().1
        );
        rows.push(vec![
            text(m.name.as_str()),
            text(format!("{megabytes:>10.2} MB")),
            config
                .login_by_sid(&m.owner_sid)
                .map_or(Value::Null, |l| text(l.name.as_str())),
            Value::Int(handle.id.into()),
            text(m.create_date.date().to_string()),
            text(status),
            Value::Int(m.compatibility_level.into()),
        ]);
    }
    answer(out, columns, rows).await
}

/// `sp_databases`.
pub(super) async fn databases(session: &Session, out: &mut Out<'_>) -> Run<i32> {
    let columns = vec![
        column("DATABASE_NAME", SqlType::NVarChar(Some(128))),
        column("DATABASE_SIZE", SqlType::Int),
        column("REMARKS", SqlType::VarChar(Some(254))),
    ];
    let mut rows = Vec::new();
    for handle in session.inst.handles() {
        let database = handle.database();
        if session.user_in(&database, handle.id).is_some() {
            rows.push(vec![
                text(database.meta.name.as_str()),
                Value::Int(size_kb(&database)),
                Value::Null,
            ]);
        }
    }
    answer(out, columns, rows).await
}

/// `sp_configure [name [, value]]`: two options can be changed, the rest is shown.
pub(super) async fn configure(session: &mut Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    let args = call.bind("sp_configure", &["@configname", "@configvalue"])?;
    let Some(name) = args.text(0) else {
        let (plan, _) = session.bind_text("SELECT name, CAST(minimum AS int) AS minimum, CAST(maximum AS int) AS maximum, CAST(value AS int) AS config_value, CAST(value_in_use AS int) AS run_value FROM sys.configurations ORDER BY name")?;
        let rows = session.run_plan(&plan)?;
        return answer(out, plan.columns, rows.rows).await;
    };
    let Some(value) = args.int(1) else { return Ok(0) };
    if !session.has_server("ALTER SETTINGS") {
        return Err(err!(15_247).into());
    }
    let on = value != 0;
    let config = session.inst.config();
    let old = match name.to_lowercase().as_str() {
        "backup compression default" => config.backup_compression_default,
        "backup checksum default" => config.backup_checksum_default,
        "show advanced options" => on,
        _ => return Err(err!(15_123, name).into()),
    };
    session.inst.update_config(|c| match name.to_lowercase().as_str() {
        "backup compression default" => c.backup_compression_default = on,
        "backup checksum default" => c.backup_checksum_default = on,
        _ => {}
    })?;
    out.info(msg!(15_457, name, u8::from(old), value)).await?;
    Ok(0)
}

/// `sp_changedbowner login`.
pub(super) fn change_owner(session: &mut Session, call: &Call) -> Result<i32> {
    let args = call.bind("sp_changedbowner", &["@loginame", "@map"])?;
    let login = args.required(0, "@loginame")?;
    let database = session.handle()?.name();
    session.change_owner(&database, &login)?;
    Ok(0)
}

/// `sp_describe_first_result_set @tsql`: names and types of the first SELECT.
pub(super) async fn describe(session: &Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    let args = call.bind(
        "sp_describe_first_result_set",
        &["@tsql", "@params", "@browse_information_mode"],
    )?;
    let (plan, _) = session.bind_text(&args.required(0, "@tsql")?)?;
    let columns = vec![
        column("is_hidden", SqlType::Bit),
        column("column_ordinal", SqlType::Int),
        column("name", SqlType::NVarChar(Some(128))),
        column("is_nullable", SqlType::Bit),
        column("system_type_id", SqlType::Int),
        column("system_type_name", SqlType::NVarChar(Some(256))),
        column("max_length", SqlType::SmallInt),
        column("precision", SqlType::TinyInt),
        column("scale", SqlType::TinyInt),
    ];
    let mut rows = Vec::new();
    for (i, c) in plan.columns.iter().enumerate() {
        let (length, precision, scale) = crate::engine::catalog::storage(&c.ty);
        rows.push(vec![
            Value::Bit(false),
            Value::Int(i64::try_from(i + 1).unwrap_or(0)),
            if c.name.is_empty() {
                Value::Null
            } else {
                text(c.name.as_str())
            },
            Value::Bit(c.nullable),
            Value::Int(crate::engine::catalog::type_row(&c.ty).system_type_id.into()),
            text(crate::engine::eval::types::type_name(&c.ty)),
            Value::Int(length.into()),
            Value::Int(precision.into()),
            Value::Int(scale.into()),
        ]);
    }
    answer(out, columns, rows).await
}
