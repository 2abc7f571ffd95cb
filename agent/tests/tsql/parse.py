"""Parses T-SQL with sqlfluff. Reads [[name, sql], ...] as JSON, prints {name: [what is wrong, ...]} for what is wrong."""

import json
import sys

from sqlfluff.core import FluffConfig, Linter

linter = Linter(config=FluffConfig(overrides={"dialect": "tsql"}))
wrong = {}
for name, sql in json.load(sys.stdin):
    parsed = linter.parse_string(sql)
    found = [str(violation) for violation in parsed.violations]
    tree = parsed.tree
    if tree is None:
        found.append("no tree")
    else:
        found += ["unparsable: " + segment.raw for segment in tree.recursive_crawl("unparsable")]
        # A parser that skips text has not read it.
        if tree.raw != sql:
            found.append("the tree is of another text")
    if found:
        wrong[name] = found
json.dump(wrong, sys.stdout)
