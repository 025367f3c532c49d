#!/bin/sh
# Runs once, when the postgres service creates its data folder: creates a role and a database for each store, and a role with
# two databases for Temporal. No role can connect to the database of another.
set -eu

create() {
  role=$1 password=$2
  shift 2
  # psql reads the password from its environment and quotes it, so it may contain any character.
  ROLE_PASSWORD=$password psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -v role="$role" <<'SQL'
\getenv password ROLE_PASSWORD
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SQL
  for database in "$@"; do
    psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -v role="$role" -v database="$database" <<'SQL'
CREATE DATABASE :"database" OWNER :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
  done
}

create clusters_db "$CLUSTERS_DB_PASSWORD" clusters_db
create communication_db "$COMMUNICATION_DB_PASSWORD" communication_db
create resources_db "$RESOURCES_DB_PASSWORD" resources_db
create temporal "$TEMPORAL_DB_PASSWORD" temporal temporal_visibility

psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<'SQL'
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
SQL
