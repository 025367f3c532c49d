import pg from 'pg';
import type { Stack } from '../../src/dev-stack/stack.js';

/** Makes a database beside ours, on the same server. @returns its URL. */
export async function makeDatabase(stack: Stack, name: string): Promise<string> {
  const admin = new pg.Client({ connectionString: stack.adminDatabaseUrl });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = new URL(stack.adminDatabaseUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
