import { sql, type PostgresPool, type PostgresPoolClient } from 'kysely';
import type pg from 'pg';

/** Statements beyond this number are not prepared: they would only fill the server's memory. */
const preparedAtMost = 200;

const commitMark = '/* with the commit */';

/**
 * Put first in a statement whose result is not needed: inside a transaction it is not awaited, but sent together with the
 * next statement, at the latest the commit. If it fails, that next call fails.
 */
export const withCommit = sql.raw(commitMark);

const planMark = '/* planned each time */';

/**
 * Put first in a statement whose best plan depends on its values, such as how many rows have a capability: it is planned
 * each time. PostgreSQL soon uses one plan for all values of a prepared statement.
 */
export const plannedEachTime = sql.raw(planMark);

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

const nothing = { command: '', rowCount: 0, rows: [] } as const;

/**
 * A pool that saves round trips, which are most of the cost of a small transaction. Each statement is prepared once a
 * connection, under a name for its text, so PostgreSQL parses and plans it once. `begin` is sent with the first statement of
 * its transaction, and statements marked `withCommit` are sent with the next one or the commit. The pool's clients must be in
 * pipeline mode, which keeps the order and answers each statement separately.
 */
export function pipelined(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>();
  const nameOf = (text: string): string | undefined => {
    const known = names.get(text);
    if (known || names.size >= preparedAtMost) return known;
    const name = `cm_${names.size}`;
    names.set(text, name);
    return name;
  };
  const send = (client: pg.PoolClient, { text, values }: Statement) => {
    const name = values.length > 0 && !text.trimStart().startsWith(planMark) ? nameOf(text) : undefined;
    return client.query({ text, values: [...values], ...(name ? { name } : {}) });
  };
  return {
    end: () => pool.end(),
    connect: async () => {
      const client = await pool.connect();
      let isInTransaction = false;
      let held: Statement[] = [];
      const query = async (text: string, values: readonly unknown[] = []) => {
        if (text === 'begin') {
          isInTransaction = true;
          held = [{ text, values }];
          return nothing;
        }
        if (isInTransaction && text.startsWith(commitMark)) {
          held.push({ text, values });
          return nothing;
        }
        const before = held;
        held = [];
        if (text === 'commit' || text === 'rollback') isInTransaction = false;
        // Nothing was sent in this transaction, so there is nothing to end.
        if (before[0]?.text === 'begin' && (text === 'rollback' || (text === 'commit' && before.length === 1))) {
          return nothing;
        }
        if (text === 'rollback' || before.length === 0) return send(client, { text, values });
        // One write to the socket, so that the server wakes up once for all of them.
        const { stream } = (client as unknown as pg.Client).connection;
        stream.cork();
        const answers = [...before, { text, values }].map((one) => send(client, one));
        stream.uncork();
        return lastOf(await Promise.allSettled(answers));
      };
      // A client that timed out is destroyed, but the pool learns of it later and would hand it out once more.
      const release = (): void => client.release((client as unknown as pg.Client).connection.stream.destroyed);
      return { query, release } as unknown as PostgresPoolClient;
    },
  };
}

/** The last statement's result. @throws the first failure: the later ones are its consequences. */
function lastOf<Result>(outcomes: readonly PromiseSettledResult<Result>[]): Result {
  let last: Result | undefined;
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
    last = outcome.value;
  }
  return last as Result;
}
