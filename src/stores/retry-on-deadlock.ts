/**
 * Runs a transaction, which may be one statement, again when PostgreSQL ended it for a reason that a second try removes:
 * serialization failure (40001) or deadlock (40P01). Locks are taken in one order, but not by every statement that touches
 * the same rows.
 */
export async function retryOnDeadlock<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== '40001' && code !== '40P01') || attempt >= 5) throw error;
    }
  }
}
