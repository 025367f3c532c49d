import pg from 'pg';
import type { Stack } from '../../src/dev-stack/stack.js';

/** Creates a database on the PostgreSQL server of the stack. @returns its URL. */
export async function createDatabase(stack: Stack, name: string): Promise<string> {
  const admin = new pg.Client({ connectionString: stack.adminDatabaseUrl });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = new URL(stack.adminDatabaseUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
