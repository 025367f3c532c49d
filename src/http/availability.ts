import { ManagerError } from '../contracts/errors.js';

const codes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'ENOENT', '53300']);

/**
 * Whether PostgreSQL itself was away when a query failed: nothing is wrong with the request. SQLSTATE class 08 is the
 * connection, 57P01 to 57P03 a server that stops, crashed or starts.
 */
export function databaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && (codes.has(code) || /^(08...|57P0[1-3])$/.test(code))) return true;
  return /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error/i.test(
    error.message,
  );
}

/**
 * Waits for a call to a service, but not longer than `limitMs`: its library would go on trying for longer than a
 * caller waits.
 * @throws ManagerError `service_unavailable` with `message` when it takes too long or fails without a refusal.
 */
export async function withinLimit<Value>(call: Promise<Value>, limitMs: number, message: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([call, tooLong]);
  } catch (cause) {
    if (cause instanceof ManagerError) throw cause;
    throw new ManagerError('service_unavailable', message, { cause });
  } finally {
    clearTimeout(timer);
  }
}
