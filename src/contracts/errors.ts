/** The HTTP status, CLI exit code and title of an error code. */
interface Consequence {
  readonly status: number;
  readonly exit: number;
  readonly title: string;
}

/**
 * Every error code of the product with its HTTP status and CLI exit code, which are written nowhere else. Exit codes:
 * 2 invalid request, 3 not allowed, 4 not found, 5 conflict, 6 the fleet cannot do it, 69 a service is unavailable, 70 an
 * internal error, 78 configuration. Source of 69 and above: BSD sysexits.h.
 */
export const errorTable = {
  invalid_request: { status: 400, exit: 2, title: 'The request is not valid' },
  body_too_large: { status: 413, exit: 2, title: 'The body is larger than its limit' },
  unsupported_media_type: { status: 415, exit: 2, title: 'The content type is not application/json' },
  unauthenticated: { status: 401, exit: 3, title: 'The token is missing or not valid' },
  forbidden: { status: 403, exit: 3, title: "The token's role does not allow this" },
  host_refused: { status: 403, exit: 3, title: 'The Host or Origin header is not allowed' },
  capability_disabled: { status: 403, exit: 3, title: 'This capability is disabled' },
  relationship_refused: { status: 403, exit: 3, title: 'Requests from this kind of caller are disabled' },
  not_found: { status: 404, exit: 4, title: 'Not found' },
  method_not_allowed: { status: 405, exit: 2, title: 'The method is not allowed on this path' },
  idempotency_conflict: { status: 409, exit: 5, title: 'The key or id belongs to another request' },
  state_conflict: { status: 409, exit: 5, title: 'Conflicts with the current state' },
  offer_below_held: { status: 409, exit: 5, title: "The agent's memberships hold more than it offers" },
  stale_lease: { status: 409, exit: 5, title: 'The lease is no longer held' },
  operation_ended: { status: 409, exit: 5, title: 'The operation has already ended' },
  insufficient_agents: { status: 422, exit: 6, title: 'The fleet cannot satisfy the request' },
  budget_exceeded: { status: 409, exit: 6, title: 'The budget is exceeded' },
  invitations_declined: { status: 422, exit: 6, title: 'Too few agents accepted their invitation' },
  reservation_lost: { status: 409, exit: 6, title: 'The reservation was released before the cluster was formed' },
  deadline_exceeded: { status: 504, exit: 6, title: 'The deadline passed' },
  cancelled: { status: 409, exit: 6, title: 'The operation was cancelled' },
  mailbox_full: { status: 429, exit: 69, title: "The recipient's inbox is full" },
  too_many_requests: { status: 429, exit: 69, title: 'Too many requests' },
  service_unavailable: { status: 503, exit: 69, title: 'A required service is unavailable' },
  incompatible_service: { status: 503, exit: 69, title: 'A service has an incompatible version' },
  internal: { status: 500, exit: 70, title: 'Internal error' },
  invalid_configuration: { status: 422, exit: 78, title: 'The configuration is not valid' },
  port_busy: { status: 500, exit: 78, title: 'A port is already in use' },
  state_folder_busy: { status: 500, exit: 78, title: 'Another manager owns the state folder' },
  state_folder_corrupt: { status: 500, exit: 78, title: 'The state folder cannot be used' },
} as const satisfies Record<string, Consequence>;

export type ErrorCode = keyof typeof errorTable;

/** One thing wrong with an input: where (`size.min`) and what was seen, what is allowed. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/**
 * An error with a stable code. Its message says what was seen, what is allowed and what to do. Any other error that is
 * thrown is unexpected, and is retried where a retry can help.
 */
export class ManagerError extends Error {
  override readonly name = 'ManagerError';
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: { problems?: readonly Problem[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }
}

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorTable, code);

/** Problems that one error lists; the sender of a thousand wrong messages needs the first ones. */
export const maxProblems = 20;
/** Characters of a listed path and message: twenty of them stay within 16 KiB. */
const maxProblemLength = { path: 200, message: 500 };

/**
 * @param subject what has the problems: `The formation request`.
 * @param total how many there are, when `problems` has only the first of them.
 */
export function invalidRequest(subject: string, problems: readonly Problem[], total = problems.length): ManagerError {
  const listed = problems.slice(0, maxProblems).map(({ path, message }) => ({
    path: shortened(path, maxProblemLength.path),
    message: shortened(message, maxProblemLength.message),
  }));
  const count = total === 1 ? 'a problem' : `${total} problems`;
  const first = total > listed.length ? `, the first ${listed.length}` : '';
  const list = listed.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new ManagerError('invalid_request', `${subject} has ${count}${first}: ${list}`, { problems: listed });
}

/** @throws ManagerError `capability_disabled` when the configuration does not list the capability. */
export function requireEnabled(capabilities: readonly string[], capability: string): void {
  if (capabilities.includes(capability)) return;
  throw new ManagerError(
    'capability_disabled',
    `This manager offers ${capabilities.join(', ')}; add "${capability}" to cluster_manager.capabilities`,
  );
}
const shortened = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** The Temporal failure type of a code: `invalid_request` becomes `InvalidRequest`. Callers in any SDK match on it. */
export const failureTypeOf = (code: ErrorCode): string =>
  code.replace(/(^|_)([a-z])/g, (_match, _underscore: string, letter: string) => letter.toUpperCase());

const codesByFailureType = new Map((Object.keys(errorTable) as ErrorCode[]).map((code) => [failureTypeOf(code), code]));

/** The code behind a Temporal failure type, or undefined when the failure is not one of ours. */
export const codeOfFailureType = (type: string | null | undefined): ErrorCode | undefined =>
  type ? codesByFailureType.get(type) : undefined;
