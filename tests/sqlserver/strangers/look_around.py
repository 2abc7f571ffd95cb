"""Inventory, as a DBA's own script would take it."""

from strangers import CLIENTS, check, settings

INSTANCE = """
SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name,
       CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS product_version,
       CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition,
       CAST(SERVERPROPERTY('NoSuchProperty') AS int) AS nothing,
       SYSUTCDATETIME() AS server_utc, SYSDATETIMEOFFSET() AS server_now
"""

DATABASES = """
SELECT d.database_id, d.name, d.state_desc, d.recovery_model_desc, d.create_date, d.owner_sid,
       SUSER_SNAME(d.owner_sid) AS owner_name, rs.family_guid
FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
WHERE d.name = N'ADSync'
"""

FILES = """
SELECT file_id, type_desc, name, physical_name, CAST(size AS bigint) * 8192 AS bytes
FROM sys.master_files WHERE database_id = DB_ID(N'ADSync') ORDER BY file_id
"""

SESSIONS = """
SELECT s.session_id, s.login_name, s.host_name, s.program_name, c.net_transport, c.client_net_address
FROM sys.dm_exec_sessions s LEFT JOIN sys.dm_exec_connections c ON c.session_id = s.session_id
WHERE s.session_id = @@SPID
"""

server = settings()["server"]
for client in CLIENTS:
    connection = client.connect(server)
    row = client.run(connection, INSTANCE).dicts()[0]
    check(row["product_version"].startswith("16.0."), f"{client.name}: the version is 2022's")
    check(row["nothing"] is None, f"{client.name}: an unknown property is NULL")
    check(row["server_now"].utcoffset() is not None, f"{client.name}: SYSDATETIMEOFFSET has its offset")
    row = client.run(connection, DATABASES).dicts()[0]
    check(row["state_desc"] == "ONLINE" and row["family_guid"] is not None, f"{client.name}: ADSync is online")
    files = client.run(connection, FILES).dicts()
    check([file["type_desc"] for file in files] == ["ROWS", "LOG"], f"{client.name}: a data and a log file")
    row = client.run(connection, SESSIONS).dicts()[0]
    check(row["program_name"] == "strangers", f"{client.name}: the session shows its program")
    check(row["client_net_address"] == "127.0.0.1", f"{client.name}: the session shows its address")
    outcome = client.run(connection, "USE ADSync; SELECT COUNT(*) AS n FROM dbo.mms_metaverse")
    check(outcome.dicts()[0]["n"] > 0, f"{client.name}: the metaverse has objects")
    for sql, number in (
        ("SELECT 1 +", 102),
        ("SELEKT 1", 2812),
        ("SELECT FROM", 156),
        ("SELECT * FROM dbo.no_such_table", 208),
        ("SELECT no_such_column FROM sys.databases", 207),
        ("SELECT dbo.no_such_function(1)", None),
        ("EXEC dbo.no_such_procedure", 2812),
        ("USE NoSuchDatabase", 911),
    ):
        outcome = client.run(connection, sql)
        check(
            outcome.errors and (number is None or outcome.failed_with(number)),
            f"{client.name}: {sql!r} fails with {outcome.errors and outcome.errors[0][0]}",
        )
    connection.close()
