"""What the scripts share: where the servers are, how each client library connects, and how checks are reported.

Every script gets the path of a JSON file: {"server": {...}, "older": {...}}, each with host, port, user, password,
certificate, and "backup_folder", "data_folder" as the server sees them.
"""

import json
import sys
import time

import pymssql
import pytds


def settings():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def check(condition, what):
    if not condition:
        print(f"FAILED {what}", flush=True)
        sys.exit(1)
    print(f"ok     {what}", flush=True)


class Message:
    """A message of either library; pymssql gives no number for informational ones."""

    def __init__(self, text, number=None):
        self.text = text
        self.number = number
        self.at = time.monotonic()


class Outcome:
    """All results of a batch: columns and rows each, messages, and errors as (number, text)."""

    def __init__(self):
        self.results = []
        self.messages = []
        self.errors = []

    @property
    def rows(self):
        return self.results[0][1] if self.results else []

    def dicts(self):
        columns, rows = self.results[0]
        return [dict(zip(columns, row)) for row in rows]

    def failed_with(self, number):
        return any(known == number for known, _ in self.errors)

    def percents(self):
        texts = [message.text for message in self.messages]
        return [int(text.split()[0]) for text in texts if text.endswith("percent processed.")]

    def says(self, part):
        return any(part in message.text for message in self.messages)


class FreeTds:
    """pymssql, which is FreeTDS."""

    name = "pymssql"
    #: FreeTDS' words for: nothing, the login only, everything.
    encryptions = ("off", "request", "require")
    errors = (pymssql.Error,)
    #: How a refused login can be told: of 4060 and 18456 the library keeps the number of the last and the severity of the
    #: worst, which are 11 and 14.
    refusals = {18456: "severity 14", 4060: "severity 11"}
    sees_messages_live = True

    def connect(self, server, database="master", encryption="require", password=None, version="7.4"):
        return pymssql.connect(
            server=server["host"],
            port=str(server["port"]),
            user=server["user"],
            password=password or server["password"],
            database=database,
            encryption=encryption,
            tds_version=version,
            autocommit=True,
            login_timeout=15,
            charset="UTF-8",
            appname="strangers",
        )

    def run(self, connection, sql):
        outcome = Outcome()

        def message(_state, _severity, _server, _procedure, _line, text):
            outcome.messages.append(Message(text.decode("utf-8") if isinstance(text, bytes) else text))

        connection._conn.set_msghandler(message)
        cursor = connection.cursor()
        try:
            cursor.execute(sql)
            self.collect(cursor, outcome)
        except pymssql.Error as error:
            outcome.errors.append(self.number_and_text(error))
        finally:
            connection._conn.set_msghandler(None)
            cursor.close()
        return outcome

    @staticmethod
    def collect(cursor, outcome):
        while True:
            if cursor.description:
                outcome.results.append(([column[0] for column in cursor.description], cursor.fetchall()))
            if not cursor.nextset():
                return

    @staticmethod
    def number_and_text(error):
        arguments = error.args[0] if isinstance(error.args[0], tuple) else error.args
        number, text = arguments[0], arguments[1]
        return number, text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


class PythonTds:
    """python-tds, which is Python down to the socket."""

    name = "python-tds"
    encryptions = ("off", "request", "require")
    versions = {"7.1": 0x71000001, "7.2": 0x72090002, "7.3": 0x730B0003, "7.4": 0x74000004}
    errors = (pytds.Error,)
    refusals = {18456: "Login failed for user", 4060: "Cannot open database"}
    sees_messages_live = False

    def connect(self, server, database="master", encryption="require", password=None, version="7.4"):
        tls = {}
        if encryption != "off":
            tls = {"cafile": server["certificate"], "validate_host": False, "enc_login_only": encryption == "request"}
        return pytds.connect(
            dsn=server["host"],
            port=server["port"],
            user=server["user"],
            password=password or server["password"],
            database=database,
            tds_version=self.versions[version],
            autocommit=True,
            login_timeout=15,
            timeout=120,
            appname="strangers",
            **tls,
        )

    def run(self, connection, sql):
        outcome = Outcome()
        cursor = connection.cursor()
        try:
            cursor.execute(sql)
            self.note(cursor, outcome)
            while True:
                if cursor.description:
                    outcome.results.append(([column[0] for column in cursor.description], cursor.fetchall()))
                if not cursor.nextset():
                    break
            self.note(cursor, outcome)
        except pytds.Error:
            self.note(cursor, outcome)
        return outcome

    @staticmethod
    def note(cursor, outcome):
        """The library keeps what a batch has said so far, errors and information alike."""
        outcome.messages.clear()
        outcome.errors.clear()
        for _, error in cursor.messages or []:
            if error.severity > 10:
                outcome.errors.append((error.msg_no, error.text))
            else:
                outcome.messages.append(Message(error.text, error.msg_no))

    @staticmethod
    def number_and_text(error):
        return getattr(error, "number", None), str(error)


CLIENTS = (FreeTds(), PythonTds())
