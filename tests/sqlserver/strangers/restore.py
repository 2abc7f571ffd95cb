"""RESTORE under another name with MOVE, and every way in which it must fail."""

from strangers import CLIENTS, check, settings

settings_ = settings()
server, older = settings_["server"], settings_["older"]


def moves(client, connection, path, suffix):
    """A MOVE for each file, into the data folder."""
    files = client.run(connection, f"RESTORE FILELISTONLY FROM DISK = N'{path}'").dicts()
    clauses = []
    for file in files:
        extension = "mdf" if file["Type"] == "D" else "ldf"
        target = f"{server['data_folder']}\\{suffix}_{file['FileId']}.{extension}"
        clauses.append(f"MOVE N'{file['LogicalName']}' TO N'{target}'")
    return ", ".join(clauses)


for client in CLIENTS:
    path = f"{server['backup_folder']}\\restore_{client.name}.bak"
    other = f"{server['backup_folder']}\\other_{client.name}.bak"
    name = f"ADSync__{client.name}"
    connection = client.connect(server)
    for database, target in (("ADSync", path), ("model", other)):
        outcome = client.run(
            connection, f"BACKUP DATABASE [{database}] TO DISK = N'{target}' WITH COPY_ONLY, FORMAT, CHECKSUM"
        )
        check(not outcome.errors, f"{client.name}: BACKUP of {database} {outcome.errors}")
    move = moves(client, connection, path, client.name)
    outcome = client.run(
        connection, f"RESTORE DATABASE [{name}] FROM DISK = N'{path}' WITH CHECKSUM, STATS = 10, {move}"
    )
    check(not outcome.errors, f"{client.name}: RESTORE succeeds {outcome.errors}")
    check(outcome.percents()[-1] == 100, f"{client.name}: progress {outcome.percents()}")
    check(outcome.says("RESTORE DATABASE successfully processed"), f"{client.name}: 3014 ends the RESTORE")
    count = "SELECT COUNT(*) AS n FROM [{}].dbo.mms_metaverse"
    restored = client.run(connection, count.format(name)).dicts()[0]["n"]
    original = client.run(connection, count.format("ADSync")).dicts()[0]["n"]
    check(restored == original > 0, f"{client.name}: {restored} objects as before")

    for what, sql, number in (
        ("a medium that is missing", f"RESTORE DATABASE [x] FROM DISK = N'{path}.no'", 3201),
        ("another database's set", f"RESTORE DATABASE [{name}] FROM DISK = N'{other}'", 3154),
        ("files in use", f"RESTORE DATABASE [y] FROM DISK = N'{path}' WITH {move}", 1834),
        ("a logical file it has not", f"RESTORE DATABASE [z] FROM DISK = N'{path}' WITH MOVE N'no' TO N'D:\\z.mdf'", 3234),
    ):
        outcome = client.run(connection, sql)
        check(outcome.failed_with(number), f"{client.name}: {what} is {number} {outcome.errors}")
    outcome = client.run(connection, f"DROP DATABASE [{name}]")
    check(not outcome.errors, f"{client.name}: DROP DATABASE {outcome.errors}")
    connection.close()

    connection = client.connect(older)
    outcome = client.run(connection, f"RESTORE DATABASE [x] FROM DISK = N'{path}'")
    check(outcome.failed_with(3169), f"{client.name}: an older server answers 3169 {outcome.errors}")
    connection.close()
