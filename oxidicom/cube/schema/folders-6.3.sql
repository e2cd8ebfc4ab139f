-- What CUBE 6.3 adds to folders-6.0.sql. Like CUBE's own columns, these have no default in the end.

BEGIN;

ALTER TABLE pacsfiles_pacs ALTER COLUMN identifier TYPE varchar(100);
ALTER TABLE pacsfiles_pacs ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true;
ALTER TABLE pacsfiles_pacs ALTER COLUMN active DROP DEFAULT;

COMMIT;
