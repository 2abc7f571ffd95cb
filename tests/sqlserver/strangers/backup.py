"""BACKUP with progress, then everything that reads the medium."""

from strangers import CLIENTS, check, settings

server = settings()["server"]
for client in CLIENTS:
    path = server["backup_folder"] + "\\" + client.name + ".bak"
    connection = client.connect(server)
    outcome = client.run(
        connection,
        f"""BACKUP DATABASE [ADSync] TO DISK = N'{path}'
            WITH COPY_ONLY, FORMAT, INIT, CHECKSUM, NAME = N'strangers', MEDIANAME = N'strange', STATS = 10""",
    )
    check(not outcome.errors, f"{client.name}: BACKUP succeeds {outcome.errors}")
    percents = outcome.percents()
    check(percents == sorted(percents) and percents[-1] == 100, f"{client.name}: progress {percents}")
    if client.sees_messages_live:
        first, last = (message.at for message in (outcome.messages[0], outcome.messages[-1]))
        check(last - first > 0.2, f"{client.name}: the progress came while the BACKUP ran, over {last - first:.2f} s")
    check(outcome.says("BACKUP DATABASE successfully processed"), f"{client.name}: 3014 ends the BACKUP")

    header = client.run(connection, f"RESTORE HEADERONLY FROM DISK = N'{path}'").dicts()
    check(len(header) == 1 and header[0]["DatabaseName"] == "ADSync", f"{client.name}: HEADERONLY names ADSync")
    check(len(header[0]) == 59, f"{client.name}: HEADERONLY has 2022's {len(header[0])} columns")
    check(int(header[0]["LastLSN"]) > 0 and header[0]["BackupName"] == "strangers", f"{client.name}: LSN and name")
    check(bool(header[0]["IsCopyOnly"]) and bool(header[0]["HasBackupChecksums"]), f"{client.name}: the header's bits")

    files = client.run(connection, f"RESTORE FILELISTONLY FROM DISK = N'{path}' WITH FILE = 1").dicts()
    check([file["Type"] for file in files] == ["D", "L"], f"{client.name}: FILELISTONLY has data and log")
    check(len(files[0]) == 22, f"{client.name}: FILELISTONLY has {len(files[0])} columns")

    label = client.run(connection, f"RESTORE LABELONLY FROM DISK = N'{path}'").dicts()[0]
    check(label["MediaName"] == "strange" and label["FamilyCount"] == 1, f"{client.name}: LABELONLY")

    outcome = client.run(connection, f"RESTORE VERIFYONLY FROM DISK = N'{path}' WITH FILE = 1, CHECKSUM")
    check(not outcome.errors and outcome.says("is valid"), f"{client.name}: VERIFYONLY finds the set valid")

    outcome = client.run(connection, "BACKUP DATABASE [ADSync] TO DISK = N'D:\\nowhere\\at\\all\\x.bak' WITH FORMAT")
    check(outcome.failed_with(3201), f"{client.name}: a missing folder is 3201 {outcome.errors}")
    outcome = client.run(connection, "RESTORE HEADERONLY FROM DISK = N'D:\\nowhere.bak'")
    check(outcome.failed_with(3201), f"{client.name}: a missing medium is 3201")
    connection.close()
