/**
 * Runs one statement that is a transaction of its own, again when PostgreSQL ended it to break a circle of waiting. Locks
 * are taken in one order, but not by every statement that ever touches an inbox.
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
