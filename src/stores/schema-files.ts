import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/** One database's schema, as files in its store's folder. */
export interface DatabaseSchema {
  /** As errors name it: `clusters_db`. */
  readonly name: string;
  /**
   * Holds `migrations/NNNN-name.sql`, run once and in order; `functions/<name>.sql`, run again whenever its text changes;
   * and `adopt.sql`, which turns the schema of `adopts` into that of the first migration.
   */
  readonly folder: URL;
  /** The last migration of the builds before 0001-initial. */
  readonly adopts: string;
}

export interface SqlFile {
  readonly name: string;
  readonly text: string;
}

export interface FunctionFile extends SqlFile {
  readonly hash: string;
}

export interface SchemaFiles {
  readonly migrations: readonly SqlFile[];
  readonly functions: readonly FunctionFile[];
}

export const readSchemaFiles = ({ folder }: DatabaseSchema): SchemaFiles => ({
  migrations: readSqlFiles(new URL('migrations/', folder)),
  functions: readSqlFiles(new URL('functions/', folder)).map((file) => ({
    ...file,
    hash: createHash('sha256').update(file.text).digest('hex'),
  })),
});

const readSqlFiles = (folder: URL): SqlFile[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => ({ name: name.slice(0, -'.sql'.length), text: readFileSync(new URL(name, folder), 'utf8') }));

/** What turns a database of an earlier, unreleased build into one of the first migration. */
export const readAdoption = ({ folder }: DatabaseSchema): string => readFileSync(new URL('adopt.sql', folder), 'utf8');
