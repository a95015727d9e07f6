#!/bin/sh
# A fresh install of dagster-postgres can't open Postgres: SQLAlchemy 2.1 wants psycopg, psycopg2 is installed.
#
# Versions:  dagster 1.13.27, dagster-postgres 0.29.27, SQLAlchemy 2.1.9, psycopg2-binary 2.9.13.
# Expected:  the documented configuration, `storage: postgres: postgres_db: ...` (Dagster, guide "Dagster instance
#            configuration", "Storage"), works with what pip installs.
# Seen:      ModuleNotFoundError: No module named 'psycopg', before any connection is made, in both documented forms.
#            SQLAlchemy 2.1 changed the driver behind `postgresql://`; dagster allows sqlalchemy < 3, and
#            dagster-postgres depends on psycopg2-binary alone.
# Matters:   each new deployment on Postgres stops at its first command, and images that don't pin SQLAlchemy stop at
#            their next build.
# Way out:   `scheme: postgresql+psycopg2` in dagster.yaml, or `sqlalchemy<2.1`, or `pip install 'psycopg[binary]'`.
# Prints:    what is raised per form of the configuration. No Postgres runs here: the form with the scheme gets as far as
#            the refused connection.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.27 dagster-postgres==0.29.27 \
    sqlalchemy==2.1.9 psycopg2-binary==2.9.13

cd "$work" && DAGSTER_DISABLE_TELEMETRY=1 venv/bin/python -W ignore - 2>log.txt <<'PY'
import os
import pathlib
import sys
from importlib.metadata import version

import dagster as dg

for package in ("dagster", "dagster-postgres", "sqlalchemy", "psycopg2-binary"):
    print(f"{package} {version(package)}", end="; ")
print()
DB = "postgres_db: {username: u, password: p, hostname: 127.0.0.1, db_name: d, port: 1"
seen = []
for name, form in {
    "postgres_db": DB + "}",
    "postgres_url": "postgres_url: postgresql://u:p@127.0.0.1:1/d",
    "with scheme": DB + ", scheme: postgresql+psycopg2}",
}.items():
    home = pathlib.Path(name.replace(" ", "_")).absolute()
    home.mkdir()
    (home / "dagster.yaml").write_text("storage:\n  postgres:\n    " + form + "\n")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get():
            seen.append("opened")
    except Exception as error:
        seen.append(f"{type(error).__name__}: {error}")
    print(f"{name:14}{seen[-1]}")
missing = "ModuleNotFoundError: No module named 'psycopg'"
expected = [missing, missing, "DagsterPostgresException: too many retries for DB connection"]
sys.exit(0 if seen == expected else f"the behaviour has changed; it was {expected}")
PY
