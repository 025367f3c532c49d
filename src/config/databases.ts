import type { Problem } from '../contracts/errors.js';
import type { Environment } from './environment.js';
import { shown, type Checked } from './problems.js';

const databaseKeys = ['clusters', 'communication', 'resources'] as const;
type DatabaseKey = (typeof databaseKeys)[number];

const otherWays = 'or DATABASE_URL for all three, or run `npm start`, which starts its own server';

/** The three databases' `postgres://` URLs. They may hold passwords: never log them. */
export type DatabaseUrls = Readonly<Record<DatabaseKey, string>>;

/**
 * Resolves the address of each database: its own variable, else the file's URL, else the file's name on the server of
 * `DATABASE_URL`. Two databases with the same address are a problem, since their tables would mix.
 */
export function resolveDatabases(named: DatabaseUrls, urls: Environment['databaseUrls']): Checked<DatabaseUrls> {
  const problems: Problem[] = [];
  const report = (key: DatabaseKey, message: string) =>
    problems.push({ path: `cluster_manager.databases.${key}`, message });
  const resolved: Partial<Record<DatabaseKey, string>> = {};
  for (const key of databaseKeys) {
    const url = urls[key] ?? (named[key].includes('://') ? named[key] : onServer(urls.base, named[key]));
    if (url !== undefined) resolved[key] = url;
    else
      report(
        key,
        `is the name ${shown(named[key])} without a server; set ${key.toUpperCase()}_DATABASE_URL, ${otherWays}`,
      );
  }
  const places = Object.entries(resolved).map(([key, url]) => ({ key: key as DatabaseKey, place: placeOf(url) }));
  for (const [index, { key, place }] of places.entries()) {
    const other = places.slice(0, index).find((earlier) => earlier.place === place);
    if (other) report(key, `is the same database as ${other.key} (${place}); allowed: three separate ones`);
  }
  return problems.length > 0 ? { problems } : { value: resolved as DatabaseUrls, problems };
}

function onServer(base: string | undefined, name: string): string | undefined {
  if (base === undefined) return undefined;
  const url = new URL(base);
  url.pathname = `/${name}`;
  return url.href;
}

function placeOf(address: string): string {
  const url = new URL(address);
  return `${url.hostname}:${url.port || '5432'}${url.pathname}`;
}
