-- What CUBE 6.10 adds to folders-6.3.sql, and CUBE 7 still has. Like CUBE's own columns, these have no default in the end.

BEGIN;

ALTER TABLE core_chrisfolder
    ADD COLUMN IF NOT EXISTS deletion_status varchar(10) NOT NULL DEFAULT 'inactive',
    ADD COLUMN IF NOT EXISTS deletion_error text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS deletion_requested_at timestamptz;
ALTER TABLE core_chrisfolder ALTER COLUMN deletion_status DROP DEFAULT, ALTER COLUMN deletion_error DROP DEFAULT;

ALTER TABLE pacsfiles_pacsseries
    ADD COLUMN IF NOT EXISTS deletion_status varchar(10) NOT NULL DEFAULT 'inactive',
    ADD COLUMN IF NOT EXISTS deletion_error text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS deletion_requested_at timestamptz;
ALTER TABLE pacsfiles_pacsseries ALTER COLUMN deletion_status DROP DEFAULT, ALTER COLUMN deletion_error DROP DEFAULT;

COMMIT;
