/**
 * Runs one statement that is a transaction of its own, again when PostgreSQL ended it because of a deadlock. Locks are
 * taken in one order, but not by every statement that touches the same rows.
 */
export async function retryOnDeadlock<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if ((error as { code?: string }).code !== '40P01' || attempt >= 5) throw error;
    }
  }
}
