import { ManagerError } from '../contracts/errors.js';

/**
 * Waits for a call to a service for at most `limitMs`, because its library retries for longer than a caller waits.
 * @throws ManagerError `service_unavailable` with `message` on a timeout or any other failure than a ManagerError.
 */
export async function withinLimit<Value>(call: Promise<Value>, limitMs: number, message: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([call, timeout]);
  } catch (cause) {
    if (cause instanceof ManagerError) throw cause;
    throw new ManagerError('service_unavailable', message, { cause });
  } finally {
    clearTimeout(timer);
  }
}
