const codes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'ENOENT', '53300']);

/**
 * Whether a query failed because PostgreSQL could not be reached, and not because of the request. SQLSTATE class 08 are
 * connection errors; 57P01 to 57P03 come from a server that stops, crashed or starts.
 */
export function databaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && (codes.has(code) || /^(08...|57P0[1-3])$/.test(code))) return true;
  return /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error/i.test(
    error.message,
  );
}
