import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import type { TestDatabases } from './database.js';

type Stores = Pick<TestDatabases, 'clusters' | 'communication' | 'resources'>;

/**
 * Watches three databases for queries to one of them while a transaction of another is open.
 * @returns the databases to use, and a list of the violations so far.
 */
export function watchOpenTransactions(stores: Stores): {
  readonly stores: Stores;
  readonly violations: readonly string[];
} {
  const open = new AsyncLocalStorage<string>();
  const violations: string[] = [];

  const watch = <Schema>(name: string, db: Kysely<Schema>): Kysely<Schema> => {
    // A plugin sees every query, raw or built, in the asynchronous context of its caller.
    const watched = db.withPlugin({
      transformQuery: ({ node }) => {
        const owner = open.getStore();
        if (owner !== undefined && owner !== name) {
          violations.push(`${name} is queried while a transaction of ${owner} is open: ${new Error().stack}`);
        }
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const transaction = () => ({
      execute: <Result>(work: (tx: Kysely<Schema>) => Promise<Result>) =>
        watched.transaction().execute((tx) => open.run(name, () => work(tx))),
    });
    return new Proxy(watched, {
      get: (target, key) => {
        if (key === 'transaction') return transaction;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  };

  return {
    violations,
    stores: {
      clusters: watch('clusters_db', stores.clusters),
      communication: watch('communication_db', stores.communication),
      resources: watch('resources_db', stores.resources),
    },
  };
}
