"""Attention: a running statement stops, the connection lives on."""

import threading
import time

from pymssql import _mssql

from strangers import CLIENTS, check, settings

server = settings()["server"]
LONG = "WAITFOR DELAY '00:02:00'"


def running(client, connection, command):
    sql = f"SELECT COUNT(*) AS n FROM sys.dm_exec_requests WHERE command = '{command}'"
    return client.run(connection, sql).dicts()[0]["n"]


def until(condition, what):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return check(True, what)
        time.sleep(0.05)
    return check(False, what)


freetds, python_tds = CLIENTS
watcher = freetds.connect(server)

# FreeTDS sends an Attention when a query takes too long, and gives the connection up. A BACKUP keeps talking while it runs,
# so its time only passes between two messages: without STATS it says nothing until it is done.
SILENT = f"BACKUP DATABASE [ADSync] TO DISK = N'{server['backup_folder']}\\silent.bak' WITH FORMAT, STATS = 100"
for sql, command in ((LONG, "WAITFOR"), (SILENT, "BACKUP DATABASE")):
    raw = _mssql.connect(
        server=server["host"], port=str(server["port"]), user=server["user"], password=server["password"]
    )
    raw.query_timeout = 1
    started = time.monotonic()
    try:
        raw.execute_non_query(sql)
        check(False, f"pymssql: {command} times out")
    except _mssql.MSSQLException as error:
        check(time.monotonic() - started < 60, f"pymssql: {command} times out ({error})")
    until(lambda: running(freetds, watcher, command) == 0, f"pymssql: the server has stopped {command}")
outcome = freetds.run(watcher, f"RESTORE VERIFYONLY FROM DISK = N'{server['backup_folder']}\\silent.bak'")
check(outcome.errors, f"pymssql: a cancelled BACKUP leaves no valid set {outcome.errors}")

# A result set that nobody reads to its end.
raw = _mssql.connect(
    server=server["host"], port=str(server["port"]), user=server["user"], password=server["password"]
)
raw.execute_query("SELECT a.name FROM sys.columns a CROSS JOIN sys.columns b")
raw.cancel()
raw.execute_query("SELECT 42 AS answer")
check([row["answer"] for row in raw] == [42], "pymssql: the connection works after a cancelled result set")
raw.close()

# python-tds waits for its answer in one thread, the Attention goes out from another. One TLS session must not be used by two
# threads at once, so only the login is encrypted.
BACKUP = f"BACKUP DATABASE [ADSync] TO DISK = N'{server['backup_folder']}\\cancel.bak' WITH FORMAT, STATS = 1"
connection = python_tds.connect(server, encryption="request")
for sql, command in ((LONG, "WAITFOR"), (BACKUP, "BACKUP DATABASE")):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(python_tds.run(connection, sql)), daemon=True)
    thread.start()
    until(lambda: running(freetds, watcher, command) == 1, f"python-tds: {command} runs")
    connection._tds_socket.main_session.put_cancel()
    thread.join(30)
    check(not thread.is_alive(), f"python-tds: the Attention ends {command}")
    until(lambda: running(freetds, watcher, command) == 0, f"python-tds: the server has stopped {command}")
    check(not outcomes[0].says("successfully processed"), f"python-tds: {command} did not succeed")
    answer = python_tds.run(connection, "SELECT 42 AS answer").dicts()
    check(answer == [{"answer": 42}], f"python-tds: the connection works after {command}")
watcher.close()
