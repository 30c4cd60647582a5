#!/bin/sh
# Run once by PostgreSQL's image, in an empty volume: a database and a user for the index of the store, beside Prefect's.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$PENSTOCK_DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE penstock LOGIN PASSWORD :'password';
CREATE DATABASE penstock OWNER penstock ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE penstock FROM PUBLIC;
REVOKE CONNECT ON DATABASE prefect FROM PUBLIC;
SQL
