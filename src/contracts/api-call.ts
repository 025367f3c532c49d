import type { z } from 'zod';
import { isErrorCode, ManagerError } from './errors.js';
import { problem } from './problem.js';

export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Absolute, already encoded: `/v1/agents/a1`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  /** The server's clock when it answered, ms since 1970 with a resolution of one second; undefined when it did not say. */
  readonly serverTimeMs: number | undefined;
}

const defaultTimeoutMs = 15_000;

/**
 * One call of the HTTP API.
 * @param baseUrl `http://host:port`, with or without a path before `/v1`.
 * @throws ManagerError with the answer's code; `service_unavailable` when nothing answered in time, `incompatible_service`
 * when what answered is not this API. When `signal` was aborted: its reason.
 */
export async function callApi(baseUrl: string, call: ApiCall): Promise<ApiAnswer> {
  // Not AbortSignal.any: it keeps every call's signal alive for as long as the agent's own one.
  const controller = new AbortController();
  const forward = (): void => controller.abort(call.signal?.reason);
  try {
    return await fetched(baseUrl, call, { controller, forward }, async (response) =>
      answerOf(baseUrl, response, await response.text()),
    );
  } finally {
    call.signal?.removeEventListener('abort', forward);
  }
}

export interface OpenAnswer {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  readonly serverTimeMs: number | undefined;
}

/**
 * One call whose answer goes on: `timeoutMs` is for its beginning, `signal` ends it at any time. Give each such call a
 * signal of its own.
 * @throws ManagerError as `callApi`.
 */
export async function openApi(baseUrl: string, call: ApiCall & { readonly signal: AbortSignal }): Promise<OpenAnswer> {
  const controller = new AbortController();
  const forward = (): void => controller.abort(call.signal.reason);
  return fetched(baseUrl, call, { controller, forward }, async (response) => {
    if (!response.ok || !response.body) {
      answerOf(baseUrl, response, await response.text());
      throw foreign(baseUrl, response.status);
    }
    const contentType = response.headers.get('content-type') ?? '';
    return { contentType, body: response.body, serverTimeMs: dateOf(response) };
  });
}

async function fetched<Answer>(
  baseUrl: string,
  call: ApiCall,
  ending: { readonly controller: AbortController; readonly forward: () => void },
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> {
  const url = urlOf(baseUrl, call);
  const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
  const { controller, forward } = ending;
  if (call.signal?.aborted) forward();
  call.signal?.addEventListener('abort', forward, { once: true });
  const timer = setTimeout(() => controller.abort(new TimeoutPassed()), timeoutMs);
  try {
    const response = await fetch(url, {
      method: call.method,
      headers: {
        accept: 'application/json',
        ...(call.token ? { authorization: `Bearer ${call.token}` } : {}),
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      redirect: 'error',
      signal: controller.signal,
    });
    return await read(response);
  } catch (cause) {
    if (cause instanceof ManagerError) throw cause;
    if (call.signal?.aborted) throw call.signal.reason;
    throw unreachable(baseUrl, cause, timeoutMs);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws ManagerError `incompatible_service` that names the first field that does not fit. */
export function responseBodyOf<Schema extends z.ZodType>(
  baseUrl: string,
  schema: Schema,
  answer: ApiAnswer,
): z.output<Schema> {
  const parsed = schema.safeParse(answer.body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ManagerError(
    'incompatible_service',
    `${baseUrl} answered as another version does: ${issue?.path.join('.') || 'the body'}: ` +
      `${issue?.message ?? 'unexpected'}; run the same version on both sides`,
  );
}

class TimeoutPassed extends Error {}

/** Stands behind a refusal as its cause when the answer said when to ask again. */
export class AskedToWait extends Error {
  readonly ms: number;
  constructor(ms: number) {
    super(`Retry-After: ${ms / 1000} s`);
    this.ms = ms;
  }
}

/** How long the answer behind a refusal asked to wait, ms; undefined when it did not say. */
export const retryAfterMsOf = (error: unknown): number | undefined =>
  error instanceof ManagerError && error.cause instanceof AskedToWait ? error.cause.ms : undefined;

/** The `Retry-After` of an answer, in seconds or as a date. */
function askedToWait({ headers }: Response): AskedToWait | undefined {
  const said = headers.get('retry-after')?.trim();
  if (!said) return undefined;
  const ms = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(ms) ? new AskedToWait(Math.max(0, ms)) : undefined;
}

function dateOf({ headers }: Response): number | undefined {
  const date = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(date) ? undefined : date;
}

function urlOf(baseUrl: string, { path, query }: ApiCall): string {
  if (!/^https?:\/\/./.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new ManagerError(
      'invalid_request',
      `"${baseUrl}" is not an address of the API; write it as http://127.0.0.1:8420`,
    );
  }
  const url = new URL(`${baseUrl.replace(/\/+$/, '')}${path}`);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.toString();
}

function answerOf(baseUrl: string, response: Response, text: string): ApiAnswer {
  const body = parsed(text);
  if (response.ok) {
    if (body === undefined && text !== '') throw foreign(baseUrl, response.status);
    return { status: response.status, body, serverTimeMs: dateOf(response) };
  }
  const cause = askedToWait(response);
  const details = problem.safeParse(body);
  if (details.success) {
    const { code, detail, errors } = details.data;
    if (isErrorCode(code)) throw new ManagerError(code, detail, { problems: errors ?? [], cause });
  }
  if ([502, 503, 504].includes(response.status)) {
    throw new ManagerError(
      'service_unavailable',
      `${baseUrl} answered ${response.status}: what is behind it is not up; try again when it is`,
      { cause },
    );
  }
  throw foreign(baseUrl, response.status);
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

const foreign = (baseUrl: string, status: number): ManagerError =>
  new ManagerError(
    'incompatible_service',
    `${baseUrl} answered ${status} in a way that this version of the cluster manager does not; ` +
      'check that the address is that of a cluster manager of the same version',
  );

function unreachable(baseUrl: string, cause: unknown, timeoutMs: number): ManagerError {
  const why =
    cause instanceof TimeoutPassed ? `no answer within ${Math.round(timeoutMs / 100) / 10} s` : reasonOf(cause);
  return new ManagerError(
    'service_unavailable',
    `The cluster manager at ${baseUrl} cannot be reached (${why}); start it with "npm start", or give the address of one that runs`,
    { cause },
  );
}

/** What lies behind fetch's own "fetch failed": a system code such as `ECONNREFUSED`, else the innermost words. */
function reasonOf(error: unknown): string {
  let reason = String(error);
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    reason = at.message;
  }
  return reason;
}
