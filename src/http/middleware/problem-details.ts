import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { errorTable, ManagerError, type ErrorCode } from '../../contracts/errors.js';
import type { ProblemDetails } from '../../contracts/problem.js';
import type { ApiEnv } from '../deps.js';
import { MethodNotAllowed } from './method-not-allowed.js';
import { databaseUnavailable } from '../availability.js';

/** Problem details of a refusal. Source: RFC 9457. */
export function problemOf(error: ManagerError): ProblemDetails {
  const { status, title } = errorTable[error.code];
  return {
    type: `urn:cluster-manager:error:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    ...(error.problems.length > 0 ? { errors: error.problems.map(({ path, message }) => ({ path, message })) } : {}),
  };
}

/** The answer to anything thrown. A fault's text may hold SQL, paths or secrets: it goes to the log, its id to the caller. */
export function problemResponse(error: unknown, c: Context<ApiEnv>): Response {
  const { logger } = c.var.deps;
  if (error instanceof MethodNotAllowed) return methodNotAllowed(error);
  const refusal = refusalOf(error, c.var.requestId);
  if (refusal !== error && refusal.cause !== undefined) {
    logger.error({ err: refusal.cause, requestId: c.var.requestId, code: refusal.code }, 'request failed');
  }
  const { status } = errorTable[refusal.code];
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="cluster-manager"';
  if (status === 429 || status === 503) headers['retry-after'] = String(retryAfterSeconds(error) ?? 1);
  return new Response(JSON.stringify(problemOf(refusal)), { status, headers });
}

function methodNotAllowed({ message, allowed }: MethodNotAllowed): Response {
  const { status, title } = errorTable.method_not_allowed;
  const problem: ProblemDetails = {
    type: 'urn:cluster-manager:error:method_not_allowed',
    title,
    status,
    code: 'method_not_allowed',
    detail: message,
  };
  const headers = { 'content-type': 'application/problem+json', allow: allowed.join(', ') };
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** A refusal that says when to come again. */
export class RetryLater extends ManagerError {
  readonly retryAfterSeconds: number;

  constructor(code: ErrorCode, message: string, retryAfterSeconds: number) {
    super(code, message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const retryAfterSeconds = (error: unknown): number | undefined =>
  error instanceof RetryLater ? error.retryAfterSeconds : undefined;

function refusalOf(error: unknown, requestId: string): ManagerError {
  if (error instanceof ManagerError) return error;
  if (error instanceof HTTPException && error.status === 415) {
    return new ManagerError('unsupported_media_type', 'The content type must be application/json');
  }
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
  return new ManagerError(
    'internal',
    `The manager failed on this request; its log tells why under request ${requestId}`,
    { cause: error },
  );
}
