"""Logging in: every TDS version, with full, login-only and no encryption; refused logins."""

from strangers import CLIENTS, check, settings


def every_way_in(client, server):
    for version in ("7.1", "7.2", "7.3", "7.4"):
        for encryption in client.encryptions:
            connection = client.connect(server, encryption=encryption, version=version)
            outcome = client.run(connection, "SELECT @@SPID AS spid, DB_NAME() AS name, SUSER_SNAME() AS login")
            row = outcome.dicts()[0]
            good = row["spid"] > 50 and row["name"] == "master" and row["login"] == server["user"]
            check(good, f"{client.name}: TDS {version}, encryption {encryption}")
            connection.close()


def refused(client, server, number, **arguments):
    """Whether the login fails for this reason. With 4060 comes 18456, and the libraries give one of the numbers."""
    try:
        client.connect(server, **arguments).close()
    except client.errors as error:
        known, text = client.number_and_text(error)
        print(f"       {known}: {text.splitlines()[0]}")
        return known in (number, 18456) and client.refusals[number] in text
    return False


settings_ = settings()
server = settings_["server"]
for client in CLIENTS:
    every_way_in(client, server)
    for encryption in client.encryptions:
        check(
            refused(client, server, 18456, password="wrong", encryption=encryption),
            f"{client.name}: a wrong password is refused, encryption {encryption}",
        )
        check(
            refused(client, server, 4060, database="NoSuchDatabase", encryption=encryption),
            f"{client.name}: a missing database is refused, encryption {encryption}",
        )
