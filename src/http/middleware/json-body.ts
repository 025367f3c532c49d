import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { ManagerError } from '../../contracts/errors.js';
import type { ApiEnv } from '../deps.js';

/** Our own shapes need 6, a message's data may go deeper; hostile nesting is refused before a schema walks it. */
const deepest = 32;

/** NUL and lone surrogates are legal JSON, but PostgreSQL stores neither. */
const unstorable = /[\0\p{Surrogate}]/u;

/** How many bytes a body may have, by what it holds; undefined when there is no limit of its own. */
export type BodyLimit = (body: unknown) => number | undefined;

/**
 * The border of every body: its size before it is read, its content type, that it is JSON, and that every text in it
 * can be stored.
 * @param limitBytes the size allowed.
 * @param options.limitOf a smaller one for some bodies, by what they hold.
 */
export const jsonBody = (
  limitBytes: (c: Context<ApiEnv>) => number,
  { required, limitOf }: { readonly required: boolean; readonly limitOf?: BodyLimit | undefined },
): MiddlewareHandler<ApiEnv> => {
  return async (c, next) => {
    const maxSize = limitBytes(c);
    const tooLarge = (bytes = maxSize): never => {
      throw new ManagerError('body_too_large', `The body is larger than ${bytes} bytes; send less at a time`);
    };
    const read = async (): Promise<void> => {
      const text = await c.req.text();
      if (text === '') {
        if (required) throw new ManagerError('invalid_request', 'The body is empty; a JSON object is needed');
      } else {
        requireJson(c.req.header('content-type'));
        const body = parse(text);
        const limit = limitOf?.(body);
        if (limit !== undefined && Buffer.byteLength(text) > limit) tooLarge(limit);
        requireStorable(body);
      }
      await next();
    };
    // Node reads no further than the announced length; only a body without one must be counted, which costs a stream.
    if (c.req.header('transfer-encoding') !== undefined)
      return bodyLimit({ maxSize, onError: () => tooLarge() })(c, read);
    if (Number(c.req.header('content-length') ?? 0) > maxSize) tooLarge();
    return read();
  };
};

function requireJson(contentType: string | undefined): void {
  if (contentType !== undefined && /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(contentType)) return;
  throw new ManagerError(
    'unsupported_media_type',
    `The content type is ${contentType === undefined ? 'missing' : `"${contentType.slice(0, 100)}"`}; allowed: application/json`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // V8 quotes the text around the mistake; a token in it must not come back or reach a log.
    const position = /position \d+/.exec(error instanceof Error ? error.message : '')?.[0];
    throw new ManagerError('invalid_request', `The body is not valid JSON${position ? ` (at ${position})` : ''}`);
  }
}

function requireStorable(body: unknown): void {
  const open: { readonly value: unknown; readonly depth: number; readonly path: string }[] = [
    { value: body, depth: 0, path: '' },
  ];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth, path } = next;
    if (typeof value === 'string') refuseUnstorable(value, path);
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= deepest) throw new ManagerError('invalid_request', `The body is nested deeper than ${deepest} levels`);
    for (const [key, inner] of Object.entries(value)) {
      refuseUnstorable(key, path);
      open.push({ value: inner, depth: depth + 1, path: path === '' ? key : `${path}.${key}` });
    }
  }
}

function refuseUnstorable(text: string, path: string): void {
  if (!unstorable.test(text)) return;
  const problem = { path: path || '(body)', message: 'holds a NUL character or half of a surrogate pair; remove it' };
  throw new ManagerError('invalid_request', `The request has a problem: ${problem.path} ${problem.message}`, {
    problems: [problem],
  });
}
