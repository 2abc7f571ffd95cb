//! The statements an agent sends, word for word as the project's SQL reference has them.

use super::lab::{Lab, ok, run, show, text, value};
use syncferry_sqlserver::types::{SqlType, Token, Value};

const PROBE: &str = "
DECLARE @db sysname = N'ADSync';
SELECT
 CAST(SERVERPROPERTY('ServerName')                AS nvarchar(256)) AS server_name,
 CAST(SERVERPROPERTY('MachineName')               AS nvarchar(128)) AS machine_name,
 CAST(SERVERPROPERTY('ComputerNamePhysicalNetBIOS') AS nvarchar(128)) AS physical_name,
 CAST(SERVERPROPERTY('InstanceName')              AS nvarchar(128)) AS instance_name,   -- NULL = default
 CAST(SERVERPROPERTY('ProductVersion')            AS nvarchar(128)) AS product_version, -- 16.0.4236.2
 CAST(SERVERPROPERTY('ProductMajorVersion')       AS nvarchar(128)) AS major,
 CAST(SERVERPROPERTY('ProductLevel')              AS nvarchar(128)) AS product_level,
 CAST(SERVERPROPERTY('ProductUpdateLevel')        AS nvarchar(128)) AS cu,
 CAST(SERVERPROPERTY('Edition')                   AS nvarchar(128)) AS edition,
 CAST(SERVERPROPERTY('EditionID')                 AS bigint)        AS edition_id,
 CAST(SERVERPROPERTY('EngineEdition')             AS int)           AS engine_edition,
 CAST(SERVERPROPERTY('IsLocalDB')                 AS int)           AS is_localdb,
 CAST(SERVERPROPERTY('Collation')                 AS nvarchar(128)) AS collation_name,
 CAST(SERVERPROPERTY('IsClustered')               AS int), CAST(SERVERPROPERTY('IsHadrEnabled') AS int),
 CAST(SERVERPROPERTY('IsIntegratedSecurityOnly')  AS int), CAST(SERVERPROPERTY('IsSingleUser') AS int),
 CAST(SERVERPROPERTY('FilestreamEffectiveLevel')  AS int), CAST(SERVERPROPERTY('IsXTPSupported') AS int),
 CAST(SERVERPROPERTY('ProcessID')                 AS int)           AS pid,
 CAST(SERVERPROPERTY('InstanceDefaultDataPath')   AS nvarchar(260)) AS data_path,
 CAST(SERVERPROPERTY('InstanceDefaultLogPath')    AS nvarchar(260)) AS log_path,
 CAST(SERVERPROPERTY('InstanceDefaultBackupPath') AS nvarchar(260)) AS backup_path,     -- 2019+, else NULL
 CAST(SERVERPROPERTY('PathSeparator')             AS nvarchar(1))   AS path_sep,        -- 2017+
 @@SPID AS spid, SUSER_SNAME() AS login_name, ORIGINAL_LOGIN() AS original_login,
 IS_SRVROLEMEMBER('sysadmin') AS is_sysadmin, IS_SRVROLEMEMBER('dbcreator') AS is_dbcreator,
 HAS_PERMS_BY_NAME(NULL,NULL,'VIEW SERVER STATE') AS can_view_state,
 HAS_PERMS_BY_NAME(@db,'DATABASE','BACKUP DATABASE') AS can_backup,
 SYSUTCDATETIME() AS server_utc, SYSDATETIMEOFFSET() AS server_now;";

const DATABASE: &str = "
DECLARE @db sysname = N'ADSync';
SELECT d.database_id, d.name, d.state, d.state_desc, d.user_access_desc, d.is_read_only, d.is_in_standby,
       d.recovery_model_desc, d.compatibility_level, d.collation_name, d.create_date, d.owner_sid, SUSER_SNAME(d.owner_sid) AS owner_name,
       d.is_encrypted, d.is_broker_enabled, d.is_trustworthy_on, d.is_db_chaining_on, d.containment_desc, d.page_verify_option_desc,
       d.log_reuse_wait_desc, d.is_auto_close_on, d.is_auto_shrink_on, d.is_auto_update_stats_async_on, d.snapshot_isolation_state_desc,
       d.is_read_committed_snapshot_on, d.is_cdc_enabled, d.is_published, d.is_subscribed, d.source_database_id, d.replica_id, d.service_broker_guid,
       rs.database_guid, rs.family_guid, rs.recovery_fork_guid, rs.last_log_backup_lsn,
       CAST(DATABASEPROPERTYEX(d.name,'Version') AS int) AS internal_version,
       CAST(DATABASEPROPERTYEX(d.name,'LastGoodCheckDbTime') AS datetime) AS last_good_checkdb     -- 2016 SP2+
FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
WHERE d.name = @db;";

const SESSIONS: &str = "
DECLARE @db sysname = N'ADSync';
SELECT s.session_id, s.login_name, s.original_login_name, s.host_name, s.host_process_id, s.program_name, s.client_interface_name,
       s.status, s.open_transaction_count, s.last_request_start_time, s.last_request_end_time, c.net_transport, c.client_net_address, r.command, r.percent_complete
FROM sys.dm_exec_sessions s
LEFT JOIN sys.dm_exec_connections c ON c.session_id = s.session_id AND c.parent_connection_id IS NULL
LEFT JOIN sys.dm_exec_requests r ON r.session_id = s.session_id
WHERE s.is_user_process = 1 AND s.session_id <> @@SPID
  AND (s.database_id = DB_ID(@db)                                                     -- column exists since 2012
       OR EXISTS (SELECT 1 FROM sys.dm_tran_locks l WHERE l.request_session_id = s.session_id
                  AND l.resource_type = 'DATABASE' AND l.resource_database_id = DB_ID(@db)));   -- cross-db users";

#[tokio::test]
async fn the_instance_is_probed() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    ok(&mut session, "SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 15000; SET LANGUAGE us_english; SET IMPLICIT_TRANSACTIONS OFF;").await;
    let probe = ok(&mut session, PROBE).await;
    assert_eq!(*probe.get("server_name"), text("SQL01"));
    assert_eq!(*probe.get("instance_name"), Value::Null);
    assert_eq!(*probe.get("product_version"), text("16.0.4236.2"));
    assert_eq!(*probe.get("edition_id"), Value::Int(-1_534_726_760));
    assert_eq!(*probe.get("can_backup"), Value::Int(1));
    assert_eq!(probe.columns()[0].ty, SqlType::NVarChar(Some(256)));
    assert_eq!(probe.columns().len(), 33);
}

#[tokio::test]
async fn localdb_differs_where_it_should() {
    let lab = Lab::localdb();
    let mut session = lab.sa().await;
    let probe = ok(&mut session, PROBE).await;
    assert_eq!(*probe.get("is_localdb"), Value::Int(1));
    assert_eq!(*probe.get("engine_edition"), Value::Int(4));
    assert_eq!(*probe.get("major"), text("15"));
    let services = ok(&mut session, "SELECT servicename, service_account, status_desc, instant_file_initialization_enabled FROM sys.dm_server_services;").await;
    assert!(services.rows().is_empty());
    let database = ok(&mut session, DATABASE).await;
    assert_eq!(*database.get("internal_version"), Value::Int(904));
}

#[tokio::test]
async fn the_database_is_inventoried() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    ok(&mut session, "SELECT name, CAST(value_in_use AS int) FROM sys.configurations WHERE name IN (N'backup compression default',N'backup checksum default',N'backup compression algorithm',N'contained database authentication',N'clr enabled',N'max server memory (MB)');").await;
    let row = ok(&mut session, DATABASE).await;
    assert_eq!(row.rows().len(), 1);
    assert_eq!(*row.get("state_desc"), text("ONLINE"));
    assert!(matches!(row.get("family_guid"), Value::Guid(_)));
    assert_eq!(row.columns()[2].ty, SqlType::TinyInt);
    let files = ok(
        &mut session,
        "DECLARE @db sysname = N'ADSync';
         SELECT file_id, type_desc, name, physical_name, state_desc, CAST(size AS bigint)*8192 AS bytes, max_size, growth, is_percent_growth
         FROM sys.master_files WHERE database_id = DB_ID(@db);",
    )
    .await;
    assert_eq!(files.rows().len(), 2);
    assert_eq!(files.columns()[5].ty, SqlType::BigInt);
    ok(&mut session, "USE [ADSync]").await;
    let used = value(&mut session, "SELECT CAST(FILEPROPERTY(name,'SpaceUsed') AS bigint)*8192 AS used_bytes FROM sys.database_files WHERE type = 0;").await;
    assert!(matches!(used, Value::Int(n) if n > 8192), "{used:?}");
    assert!(
        ok(
            &mut session,
            "SELECT feature_name FROM sys.dm_db_persisted_sku_features;"
        )
        .await
        .rows()
        .is_empty()
    );
    let users = ok(
        &mut session,
        "SELECT dp.name, dp.type_desc, dp.authentication_type_desc, dp.sid, sp.name AS login_name
         FROM sys.database_principals dp LEFT JOIN sys.server_principals sp ON sp.sid = dp.sid
         WHERE dp.type IN ('S','U','G','E','X') AND dp.principal_id > 4;",
    )
    .await;
    assert!(!users.rows().is_empty());
    ok(
        &mut session,
        "SELECT class, major_id, name, value FROM sys.extended_properties WHERE class = 0;",
    )
    .await;
}

#[tokio::test]
async fn others_in_the_database_are_seen() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    assert!(ok(&mut session, SESSIONS).await.rows().is_empty());
    let other = lab.login("sa", "sa", "ADSync").await.unwrap();
    let seen = ok(&mut session, SESSIONS).await;
    assert_eq!(*seen.get("session_id"), Value::Int(other.spid().into()));
    assert_eq!(*seen.get("program_name"), text("adsync-agent/42"));
    drop(other);
    assert!(ok(&mut session, SESSIONS).await.rows().is_empty());
}

#[tokio::test]
async fn a_lease_is_locked_and_marked() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    let rc = value(
        &mut session,
        "DECLARE @rc int;
         EXEC @rc = sys.sp_getapplock @Resource = N'adsync-mig:ADSync', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 5000, @DbPrincipal = 'dbo';
         SELECT @rc AS rc;",
    )
    .await;
    assert_eq!(rc, Value::Int(0));
    let mark = |new: &str| {
        format!(
            "USE [ADSync];
             DECLARE @new nvarchar(3500) = N'{new}';
             BEGIN TRAN;
             DECLARE @rc int; EXEC @rc = sys.sp_getapplock @Resource=N'adsync-mig:lease', @LockMode='Exclusive', @LockOwner='Transaction', @LockTimeout=5000;
             IF @rc < 0 THROW 50001, N'lease lock not granted', 1;
             DECLARE @cur nvarchar(3500) = (SELECT CONVERT(nvarchar(3500), value) FROM sys.extended_properties WHERE class=0 AND name=N'adsync_migration');
             IF @cur IS NULL EXEC sys.sp_addextendedproperty    @name=N'adsync_migration', @value=@new;
             ELSE            EXEC sys.sp_updateextendedproperty @name=N'adsync_migration', @value=@new;
             COMMIT;"
        )
    };
    ok(&mut session, &mark("one")).await;
    ok(&mut session, &mark("two")).await;
    let cur =
        "SELECT CONVERT(nvarchar(3500), value) FROM sys.extended_properties WHERE class=0 AND name=N'adsync_migration'";
    assert_eq!(value(&mut session, cur).await, text("two"));
    ok(
        &mut session,
        "EXEC sys.sp_dropextendedproperty @name=N'adsync_migration';",
    )
    .await;
    assert!(ok(&mut session, cur).await.rows().is_empty());
    ok(&mut session, "USE master; EXEC sys.sp_releaseapplock @Resource = N'adsync-mig:ADSync', @LockOwner = 'Session', @DbPrincipal = 'dbo';").await;
}

#[tokio::test]
async fn paths_and_space_are_checked() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    let info = ok(&mut session, r"EXEC master.dbo.xp_fileexist N'D:\stage\run42';").await;
    assert_eq!(info.text(), "0|0|0");
    assert_eq!(info.columns()[0].name, "File Exists");
    ok(&mut session, r"EXEC master.dbo.xp_create_subdir N'D:\stage\run42';").await;
    assert_eq!(
        ok(&mut session, r"EXEC master.dbo.xp_fileexist N'D:\stage\run42';")
            .await
            .text(),
        "0|1|1"
    );
    assert_eq!(
        ok(&mut session, r"SELECT * FROM sys.dm_os_file_exists(N'D:\stage\run42');")
            .await
            .text(),
        "0|1|1"
    );
    let drives = ok(
        &mut session,
        "SELECT fixed_drive_path, drive_type_desc, free_space_in_bytes FROM sys.dm_os_enumerate_fixed_drives;",
    )
    .await;
    assert_eq!(drives.rows().len(), 4);
    let volumes = ok(
        &mut session,
        "SELECT DISTINCT vs.volume_mount_point, vs.total_bytes, vs.available_bytes
         FROM sys.master_files f CROSS APPLY sys.dm_os_volume_stats(f.database_id, f.file_id) vs;",
    )
    .await;
    assert!(volumes.text().starts_with(r"C:\|"), "{}", volumes.text());
    let registry = ok(&mut session, r"EXEC master.dbo.xp_instance_regread N'HKEY_LOCAL_MACHINE', N'Software\Microsoft\MSSQLServer\MSSQLServer', N'BackupDirectory';").await;
    assert!(show(registry.get("Data")).ends_with("Backup"), "{}", registry.text());
}

const FILE: &str = r"D:\stage\run42\ADSync_run42_1of1.bak";

async fn backed_up(lab: &Lab) {
    let mut session = lab.sa().await;
    ok(&mut session, r"EXEC master.dbo.xp_create_subdir N'D:\stage\run42';").await;
    let answer = ok(
        &mut session,
        r#"DECLARE @db sysname = N'ADSync', @f nvarchar(259) = N'D:\stage\run42\ADSync_run42_1of1.bak';
        BACKUP DATABASE @db TO DISK = @f                                   -- , DISK = @f2 … (stripes)
        WITH COPY_ONLY, FORMAT, INIT, CHECKSUM, STOP_ON_ERROR,
             NO_COMPRESSION,                                                -- or COMPRESSION
             NAME = N'adsync-mig run42', DESCRIPTION = N'{"run":"42","epoch":7,"fence":"READ_ONLY"}',
             MEDIANAME = N'adsync-mig-42', MEDIADESCRIPTION = N'agent/1.4.0',
             MAXTRANSFERSIZE = 4194304, BUFFERCOUNT = 16, BLOCKSIZE = 65536, STATS = 1;"#,
    )
    .await;
    let said: Vec<i32> = answer.infos().iter().map(|m| m.number).collect();
    assert!(
        said.starts_with(&[3211]) && said.ends_with(&[4035, 4035, 3014]),
        "{said:?}"
    );
    // Every message is followed by a DONE of its own.
    for (i, token) in answer.tokens.iter().enumerate() {
        if matches!(token, Token::Info(_)) {
            assert!(matches!(answer.tokens[i + 1], Token::Done { cur_cmd: 228, .. }));
        }
    }
    assert!(answer.is_well_ended());
}

#[tokio::test]
async fn a_set_is_read_and_verified() {
    let lab = Lab::with_adsync();
    backed_up(&lab).await;
    let mut session = lab.sa().await;
    let family = value(
        &mut session,
        "SELECT family_guid FROM sys.database_recovery_status WHERE database_id = DB_ID('ADSync')",
    )
    .await;
    let verified = ok(&mut session, &format!("DECLARE @f nvarchar(259) = N'{FILE}'; RESTORE VERIFYONLY FROM DISK = @f WITH FILE = 1, CHECKSUM, STOP_ON_ERROR, STATS = 5;")).await;
    assert_eq!(
        verified.infos().last().unwrap().text,
        "The backup set on file 1 is valid."
    );
    let label = ok(
        &mut session,
        &format!("DECLARE @f nvarchar(259) = N'{FILE}'; RESTORE LABELONLY FROM DISK = @f WITH CHECKSUM;"),
    )
    .await;
    assert_eq!(*label.get("MediaName"), text("adsync-mig-42"));
    assert_eq!(*label.get("FamilyCount"), Value::Int(1));
    let header = ok(
        &mut session,
        &format!("DECLARE @f nvarchar(259) = N'{FILE}'; RESTORE HEADERONLY FROM DISK = @f;"),
    )
    .await;
    assert_eq!(header.columns().len(), 59);
    assert_eq!(*header.get("FamilyGUID"), family);
    assert_eq!(*header.get("HasBackupChecksums"), Value::Bit(true));
    assert_eq!(
        *header.get("BackupDescription"),
        text(r#"{"run":"42","epoch":7,"fence":"READ_ONLY"}"#)
    );
    let dones: Vec<(u16, Option<u64>)> = header
        .tokens
        .iter()
        .filter_map(|t| {
            if let Token::Done { cur_cmd, count, .. } = t {
                Some((*cur_cmd, *count))
            } else {
                None
            }
        })
        .collect();
    assert!(dones.ends_with(&[(230, Some(1)), (250, None)]), "{dones:?}");
    let files = ok(
        &mut session,
        &format!("RESTORE FILELISTONLY FROM DISK = N'{FILE}' WITH FILE = 1;"),
    )
    .await;
    assert_eq!(files.columns().len(), 22);
    assert_eq!(files.rows().len(), 2);
    let history = ok(
        &mut session,
        "DECLARE @db sysname = N'ADSync';
         SELECT TOP(20) bs.backup_set_uuid, bs.media_set_id, bs.database_name, bs.type, bs.is_copy_only, bs.has_backup_checksums, bs.is_damaged, bs.first_lsn, bs.last_lsn, bs.checkpoint_lsn, bs.database_backup_lsn, bs.differential_base_guid, bs.backup_size, bs.compressed_backup_size, bs.backup_start_date, bs.backup_finish_date, bs.family_guid, bs.database_guid, bs.key_algorithm, bs.encryptor_thumbprint, mf.physical_device_name, mf.family_sequence_number FROM msdb.dbo.backupset bs JOIN msdb.dbo.backupmediafamily mf ON mf.media_set_id=bs.media_set_id WHERE bs.database_name=@db ORDER BY bs.backup_set_id DESC;",
    )
    .await;
    assert_eq!(*history.get("backup_set_uuid"), *header.get("BackupSetGUID"));
    assert_eq!(*history.get("physical_device_name"), text(FILE));
    assert_eq!(lab.instance.effects().count("BACKUP DATABASE"), 1);
}

#[tokio::test]
async fn a_set_is_restored_under_another_name_and_swapped_in() {
    let lab = Lab::with_adsync();
    backed_up(&lab).await;
    let mut session = lab.sa().await;
    let source = ok(&mut session, DATABASE).await;
    ok(
        &mut session,
        r"EXEC xp_create_subdir N'E:\Data'; EXEC xp_create_subdir N'F:\Log';",
    )
    .await;
    let free = ok(&mut session, r"DECLARE @tmp sysname = N'ADSync__mig_42', @mdf nvarchar(260) = N'E:\Data\ADSync_run42.mdf';
        SELECT CASE WHEN DB_ID(@tmp) IS NULL THEN 1 ELSE 0 END; SELECT 1 FROM sys.master_files WHERE physical_name = @mdf").await;
    assert_eq!(free.text(), "1");
    let answer = ok(
        &mut session,
        r"DECLARE @f nvarchar(259) = N'D:\stage\run42\ADSync_run42_1of1.bak';
        RESTORE DATABASE [ADSync__mig_42]
        FROM DISK = @f                                                     -- same count/order as BACKUP
        WITH FILE = 1, CHECKSUM, STOP_ON_ERROR, STATS = 1,
             MOVE N'ADSync'     TO N'E:\Data\ADSync_run42.mdf',            -- one MOVE per FILELISTONLY row
             MOVE N'ADSync_log' TO N'F:\Log\ADSync_run42.ldf',
             MEDIANAME = N'adsync-mig-42',                                 -- refuses foreign media
             MAXTRANSFERSIZE = 4194304, BUFFERCOUNT = 16,
             RESTRICTED_USER, RECOVERY;                                    -- or NORECOVERY when diff/log follows",
    )
    .await;
    assert_eq!(answer.infos().last().unwrap().number, 3014);
    let restored = ok(&mut session, &DATABASE.replace("N'ADSync'", "N'ADSync__mig_42'")).await;
    assert_eq!(restored.get("family_guid"), source.get("family_guid"));
    assert_ne!(restored.get("database_guid"), source.get("database_guid"));
    assert_ne!(restored.get("recovery_fork_guid"), source.get("recovery_fork_guid"));
    assert_eq!(*restored.get("owner_name"), text("sa"));
    assert_eq!(*restored.get("user_access_desc"), text("RESTRICTED_USER"));
    ok(
        &mut session,
        "DECLARE @sa sysname = (SELECT name FROM sys.server_principals WHERE sid = 0x01);
         DECLARE @s nvarchar(300) = N'ALTER AUTHORIZATION ON DATABASE::[ADSync__mig_42] TO ' + QUOTENAME(@sa); EXEC (@s);",
    )
    .await;
    let checked = ok(
        &mut session,
        "DBCC CHECKDB (N'ADSync__mig_42') WITH NO_INFOMSGS, ALL_ERRORMSGS, TABLERESULTS;",
    )
    .await;
    assert!(checked.rows().is_empty());
    let orphans = ok(
        &mut session,
        "USE [ADSync__mig_42];
         SELECT dp.name, dp.type_desc, dp.sid FROM sys.database_principals dp LEFT JOIN sys.server_principals sp ON sp.sid = dp.sid
         WHERE sp.sid IS NULL AND dp.type IN ('S','U','G') AND dp.authentication_type_desc IN ('INSTANCE','WINDOWS') AND dp.principal_id > 4;
         USE master;",
    )
    .await;
    assert!(!orphans.rows().is_empty());
    ok(
        &mut session,
        r"CREATE LOGIN [DOM\svc-adsync$] FROM WINDOWS; CREATE LOGIN [adsync_report] WITH PASSWORD = N'x';",
    )
    .await;
    ok(
        &mut session,
        "USE [ADSync__mig_42]; ALTER USER [adsync_report] WITH LOGIN = [adsync_report]; USE master;",
    )
    .await;
    ok(
        &mut session,
        "ALTER DATABASE [ADSync__mig_42] SET PAGE_VERIFY CHECKSUM, AUTO_CLOSE OFF, MULTI_USER;",
    )
    .await;
    ok(&mut session, "EXEC [ADSync__mig_42].sys.sp_updatestats;").await;
    ok(
        &mut session,
        "ALTER DATABASE [ADSync] MODIFY NAME = [ADSync__old]; ALTER DATABASE [ADSync__mig_42] MODIFY NAME = [ADSync];",
    )
    .await;
    let counts = ok(
        &mut session,
        "SELECT (SELECT SUM(row_count) FROM ADSync.sys.dm_db_partition_stats) - (SELECT SUM(row_count) FROM ADSync__old.sys.dm_db_partition_stats)",
    )
    .await;
    assert_eq!(counts.text(), "0");
    let history = ok(
        &mut session,
        "SELECT destination_database_name, restore_type, backup_set_id, [replace] FROM msdb.dbo.restorehistory",
    )
    .await;
    assert_eq!(*history.get("destination_database_name"), text("ADSync__mig_42"));
    let lab = {
        drop(session);
        lab.reopened()
    };
    let mut session = lab.sa().await;
    assert_eq!(
        value(
            &mut session,
            "SELECT COUNT(*) FROM sys.databases WHERE name IN ('ADSync', 'ADSync__old')"
        )
        .await,
        Value::Int(2)
    );
}

#[tokio::test]
async fn the_source_is_fenced_and_freed() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    ok(
        &mut session,
        "ALTER DATABASE [ADSync] SET RESTRICTED_USER WITH ROLLBACK IMMEDIATE; ALTER DATABASE [ADSync] SET MULTI_USER;",
    )
    .await;
    let other = lab.login("sa", "sa", "ADSync").await.unwrap();
    let refused = run(&mut session, "ALTER DATABASE [ADSync] SET READ_ONLY WITH NO_WAIT;").await;
    assert_eq!(
        refused.errors().iter().map(|e| e.number).collect::<Vec<_>>(),
        [5070, 5069]
    );
    ok(
        &mut session,
        "ALTER DATABASE [ADSync] SET READ_ONLY WITH ROLLBACK IMMEDIATE;",
    )
    .await;
    assert!(other.killed().is_cancelled());
    drop(other);
    let denied = run(&mut session, "DELETE FROM ADSync.dbo.mms_watermark_history").await;
    assert_eq!(denied.errors()[0].number, 3906);
    backed_up(&lab).await;
    let header = ok(&mut session, &format!("RESTORE HEADERONLY FROM DISK = N'{FILE}'")).await;
    assert_eq!(*header.get("IsReadOnly"), Value::Bit(true));
    ok(
        &mut session,
        "ALTER DATABASE [ADSync] SET OFFLINE WITH ROLLBACK IMMEDIATE;",
    )
    .await;
    assert_eq!(run(&mut session, "USE ADSync").await.errors()[0].number, 942);
    ok(
        &mut session,
        "ALTER DATABASE [ADSync] SET ONLINE; ALTER DATABASE [ADSync] SET READ_WRITE;",
    )
    .await;
    ok(&mut session, "DELETE FROM ADSync.dbo.mms_watermark_history").await;
}

#[tokio::test]
async fn progress_is_polled() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    let answer = ok(
        &mut session,
        "DECLARE @work_spid int = @@SPID;
         SELECT r.session_id, r.command, r.status, r.percent_complete, r.estimated_completion_time/1000 AS eta_s, r.total_elapsed_time, r.wait_type, r.last_wait_type,
                r.blocking_session_id, r.reads, r.writes FROM sys.dm_exec_requests r WHERE r.session_id = @work_spid;",
    )
    .await;
    assert_eq!(*answer.get("command"), text("SELECT"));
    assert_eq!(answer.columns()[3].ty, SqlType::Real);
}

#[tokio::test]
async fn the_sample_answers_what_is_asked_of_it() {
    let lab = Lab::with_adsync();
    let mut session = lab.sa().await;
    ok(&mut session, "USE ADSync").await;
    let settings = ok(&mut session, "EXEC dbo.mms_get_globalsettings").await;
    assert!(
        settings
            .text()
            .contains("Microsoft.Synchronize.ServerConfigurationVersion")
    );
    let runs = ok(
        &mut session,
        "SELECT rh.run_number, ma.ma_name, sh.step_result FROM mms_run_history rh WITH (NOLOCK)
          JOIN mms_management_agent ma ON ma.ma_id = rh.ma_id
          JOIN mms_step_history sh ON sh.run_history_id = rh.run_history_id
         WHERE rh.is_run_complete = 1;",
    )
    .await;
    assert!(!runs.rows().is_empty());
    let ages = ok(&mut session, "SELECT MAX(end_date) AS last_sync, COUNT(*) AS runs, ma_id FROM mms_run_history WHERE is_run_complete = 1 GROUP BY ma_id ORDER BY 1 DESC").await;
    assert!(ages.rows().len() > 1);
    let objects = ok(&mut session, "SELECT ma_id, COUNT(*) AS n, SUM(CASE WHEN export_operation <> 0 THEN 1 ELSE 0 END) AS pending FROM mms_connectorspace GROUP BY ma_id HAVING COUNT(*) > 0").await;
    assert!(!objects.rows().is_empty());
    let joined = ok(&mut session, "SELECT COUNT(*) FROM mms_connectorspace cs INNER JOIN mms_csmv_link l ON l.cs_object_id = cs.object_id LEFT JOIN mms_metaverse mv ON mv.object_id = l.mv_object_id WHERE mv.object_id IS NOT NULL").await;
    assert!(matches!(joined.rows()[0][0], Value::Int(n) if n > 0));
    assert_eq!(
        value(
            &mut session,
            "SELECT CASE WHEN OBJECT_ID('dbo.mms_server_configuration') IS NULL THEN 0 ELSE 1 END"
        )
        .await,
        Value::Int(1)
    );
}
