import { sql, type PostgresPool, type PostgresPoolClient } from 'kysely';
import type pg from 'pg';

/** More different statements than this are not kept: they would only fill the server's memory. */
const preparedAtMost = 200;

const mark = '/* with the commit */';

/**
 * Put first in a statement whose result nobody reads: inside a transaction it is sent together with whatever comes
 * next, at the latest the commit, instead of being waited for. If it fails, that next call fails.
 */
export const withCommit = sql.raw(mark);

const anew = '/* planned anew */';

/**
 * Put first in a statement whose best plan depends on its values, as on how many rows have a capability: it is planned
 * each time. A statement that is prepared is soon planned for values PostgreSQL does not know.
 */
export const plannedAnew = sql.raw(anew);

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

const nothing = { command: '', rowCount: 0, rows: [] } as const;

/**
 * A pool that spares round trips, which are most of what a small transaction costs. Each statement is prepared once a
 * connection under a name that stands for its text, so PostgreSQL parses and plans it once. `begin` travels with the
 * first statement of its transaction, and statements marked `withCommit` travel with the next one or the commit. The
 * pool's clients must be in pipeline mode, where order is kept and each statement is answered by itself.
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
    const name = values.length > 0 && !text.trimStart().startsWith(anew) ? nameOf(text) : undefined;
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
        if (isInTransaction && text.startsWith(mark)) {
          held.push({ text, values });
          return nothing;
        }
        const before = held;
        held = [];
        if (text === 'commit' || text === 'rollback') isInTransaction = false;
        // A transaction that never sent a statement has nothing to end.
        if (before[0]?.text === 'begin' && (text === 'rollback' || (text === 'commit' && before.length === 1))) {
          return nothing;
        }
        if (text === 'rollback' || before.length === 0) return send(client, { text, values });
        // One write, so that the server is woken once for all of them.
        const { stream } = (client as unknown as pg.Client).connection;
        stream.cork();
        const answers = [...before, { text, values }].map((one) => send(client, one));
        stream.uncork();
        return lastOf(await Promise.allSettled(answers));
      };
      // One that timed out is destroyed, but the pool hears of it only later and would lend it once more.
      const release = (): void => client.release((client as unknown as pg.Client).connection.stream.destroyed);
      return { query, release } as unknown as PostgresPoolClient;
    },
  };
}

/** The last statement's result. @throws the first failure: those after it failed only because it did. */
function lastOf<Result>(outcomes: readonly PromiseSettledResult<Result>[]): Result {
  let last: Result | undefined;
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
    last = outcome.value;
  }
  return last as Result;
}
