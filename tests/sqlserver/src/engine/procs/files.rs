//! Procedures on files, as the service account sees them.

use super::Call;
use crate::engine::errors::{Result, err, raw_error};
use crate::engine::interpreter::Run;
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::types::{Column, SqlType, Value};

fn column(name: &str, ty: SqlType) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        nullable: true,
    }
}

/// `xp_fileexist path`: as a row, or into an OUTPUT parameter.
pub(super) async fn exists(session: &Session, out: &mut Out<'_>, call: &mut Call) -> Run<i32> {
    let args = call.bind("xp_fileexist", &["@filename", "@exists"])?;
    let path = args.text(0).ok_or_else(|| err!(22_049))?;
    let info = session.inst.drives().info(&path);
    let flag = |b: bool| Value::Int(i64::from(b));
    if let Some(at) = args.position(1) {
        call.outputs.push((at, flag(info.is_file), SqlType::Int));
        return Ok(0);
    }
    let columns = ["File Exists", "File is a Directory", "Parent Directory Exists"]
        .map(|n| column(n, SqlType::TinyInt))
        .to_vec();
    let count = out
        .rows(
            columns,
            vec![vec![
                flag(info.is_file),
                flag(info.is_directory),
                flag(info.parent_exists),
            ]],
        )
        .await?;
    out.done(false, Some(count), command::SELECT).await?;
    Ok(0)
}

fn need_sysadmin(session: &Session, procedure: &str) -> Result<()> {
    if session.is_sysadmin() {
        return Ok(());
    }
    Err(err!(229, "EXECUTE", procedure, "mssqlsystemresource", "sys"))
}

/// `xp_create_subdir path`.
pub(super) fn create(session: &Session, call: &Call) -> Result<i32> {
    need_sysadmin(session, "xp_create_subdir")?;
    let args = call.bind("xp_create_subdir", &["@path"])?;
    let path = args.text(0).ok_or_else(|| err!(22_049))?;
    match session.inst.drives().create_dir(&path) {
        Ok(()) => Ok(0),
        Err(e) => {
            let text = format!("xp_create_subdir() returned error {}, '{}'", e.code().0, e.code().1);
            Err(raw_error(22_048, 16, 1, text))
        }
    }
}

/// `xp_delete_file 0, folder, extension, date`: backup files only, older than the date.
pub(super) fn delete(session: &Session, call: &Call) -> Result<i32> {
    need_sysadmin(session, "xp_delete_file")?;
    let args = call.bind(
        "xp_delete_file",
        &["@type", "@folder", "@extension", "@date", "@subfolders"],
    )?;
    let drives = session.inst.drives();
    let path = args.text(1).ok_or_else(|| err!(22_049))?;
    let before = match args.text(3) {
        Some(text) => Some(crate::engine::eval::dates::parse(&text, "mdy")?.local),
        None => None,
    };
    let is_backup = |path: &str| crate::storage::backup::MediaSet::label(&drives, path).is_ok();
    let remove = |path: &str| {
        drives.remove(path).map_err(|e| {
            raw_error(
                22_049,
                16,
                1,
                format!("xp_delete_file() returned error {}, '{}'", e.code().0, e.code().1),
            )
        })
    };
    if drives.info(&path).is_file {
        if is_backup(&path) {
            remove(&path)?;
        }
        return Ok(0);
    }
    let extension = args.text(2).unwrap_or_default().to_lowercase();
    let folder = path.trim_end_matches('\\');
    for (name, is_file) in drives.list(folder).unwrap_or_default() {
        let file = format!("{folder}\\{name}");
        let matches = is_file && (extension.is_empty() || name.to_lowercase().ends_with(&format!(".{extension}")));
        if matches && is_backup(&file) && older(session, &file, before) {
            remove(&file)?;
        }
    }
    Ok(0)
}

fn older(session: &Session, path: &str, before: Option<time::PrimitiveDateTime>) -> bool {
    let Some(before) = before else { return true };
    let real = session.inst.drives().real_path(path).ok();
    let modified = real
        .and_then(|p| std::fs::metadata(p).ok())
        .and_then(|m| m.modified().ok());
    modified.is_some_and(|m| crate::engine::eval::dates::local(m.into(), session.inst.offset()) < before)
}

/// `xp_dirtree folder, depth, files`.
pub(super) async fn tree(session: &Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    let args = call.bind("xp_dirtree", &["@directory", "@depth", "@file"])?;
    let folder = args.text(0).ok_or_else(|| err!(22_049))?;
    let files = args.int(2).unwrap_or(0) != 0;
    let mut columns = vec![
        column("subdirectory", SqlType::NVarChar(Some(512))),
        column("depth", SqlType::Int),
    ];
    if files {
        columns.push(column("file", SqlType::Int));
    }
    let mut rows = Vec::new();
    for (name, is_file) in session
        .inst
        .drives()
        .list(folder.trim_end_matches('\\'))
        .unwrap_or_default()
    {
        if is_file && !files {
            continue;
        }
        let mut row = vec![Value::Str(name.into()), Value::Int(1)];
        if files {
            row.push(Value::Int(i64::from(is_file)));
        }
        rows.push(row);
    }
    let count = out.rows(columns, rows).await?;
    out.done(false, Some(count), command::SELECT).await?;
    Ok(0)
}

/// `xp_fixeddrives`: free megabytes.
pub(super) async fn drives(session: &Session, out: &mut Out<'_>) -> Run<i32> {
    let columns = vec![column("drive", SqlType::Char(1)), column("MB free", SqlType::Int)];
    let fixed = session
        .inst
        .drives()
        .volumes()
        .into_iter()
        .filter(|v| !v.mount_point.starts_with('\\'));
    let row = |v: crate::storage::Volume| {
        let megabytes = i64::try_from(v.free_bytes >> 20).unwrap_or(i64::MAX);
        vec![
            Value::Str(v.mount_point[..1].into()),
            Value::Int(megabytes.min(i64::from(i32::MAX))),
        ]
    };
    let count = out.rows(columns, fixed.map(row).collect()).await?;
    out.done(false, Some(count), command::SELECT).await?;
    Ok(0)
}
