import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { errorTable, ManagerError } from '../../contracts/errors.js';
import type { ProblemDetails } from '../../contracts/problem.js';
import type { Logger } from '../../telemetry/index.js';
import { databaseUnavailable } from '../availability.js';
import type { ApiEnv } from '../deps.js';
import { ErrorWithHeaders } from '../error-with-headers.js';

/**
 * Answers a request whose handler threw. The message of an unexpected error may hold SQL, paths or secrets: it goes to
 * the log only, and the caller gets the request id to find it by.
 */
export function problemResponse({ logger }: { readonly logger: Logger }) {
  return (error: unknown, c: Context<ApiEnv>): Response => {
    const { requestId } = c.var;
    const shown = managerErrorOf(error, requestId);
    if (shown !== error && shown.cause !== undefined) {
      logger.error({ err: shown.cause, requestId, code: shown.code }, 'request failed');
    }
    const { status } = errorTable[shown.code];
    const headers = {
      'content-type': 'application/problem+json',
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="cluster-manager"' } : {}),
      ...(status === 429 || status === 503 ? { 'retry-after': '1' } : {}),
      ...(shown instanceof ErrorWithHeaders ? shown.headers : {}),
    };
    return new Response(JSON.stringify(problemOf(shown)), { status, headers });
  };
}

/** Source: RFC 9457. */
function problemOf({ code, message, problems }: ManagerError): ProblemDetails {
  const { status, title } = errorTable[code];
  return {
    type: `urn:cluster-manager:error:${code}`,
    title,
    status,
    code,
    detail: message,
    ...(problems.length > 0 ? { errors: problems.map((each) => ({ path: each.path, message: each.message })) } : {}),
  };
}

function managerErrorOf(error: unknown, requestId: string): ManagerError {
  if (error instanceof ManagerError) return error;
  if (error instanceof HTTPException && error.status < 500) {
    return new ManagerError('invalid_request', `The request cannot be read: ${error.message}`);
  }
  if (databaseUnavailable(error)) {
    return new ManagerError(
      'service_unavailable',
      `A database cannot be reached (request ${requestId}); see /readyz, and try again`,
      { cause: error },
    );
  }
  return new ManagerError('internal', `The manager failed on this request; see its log for request ${requestId}`, {
    cause: error,
  });
}
