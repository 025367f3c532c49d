import { invalidRequest, ManagerError } from '../../contracts/errors.js';

/** Our own schemas need 6 levels and a message's data may have more; deeper bodies are refused before validation walks them. */
const maxDepth = 32;

/** NUL and lone surrogates are legal in JSON, but PostgreSQL cannot store them. */
const unstorable = /[\0\p{Surrogate}]/u;

interface BodyLimits {
  /** Whether a request without a body is read as `{}`. */
  readonly isOptional: boolean;
  readonly maxBytes: number;
  /** A smaller limit that depends on what the body holds. */
  readonly maxBytesOf: ((body: unknown) => number | undefined) | undefined;
}

/**
 * Reads a JSON body: its size before it is read, its content type, its syntax, and that all of its strings can be stored.
 * @throws ManagerError `body_too_large`, `unsupported_media_type`, `invalid_request`.
 */
export async function readJsonBody(
  request: Request,
  { isOptional, maxBytes, maxBytesOf }: BodyLimits,
): Promise<unknown> {
  const text = await readText(request, maxBytes);
  const contentType = request.headers.get('content-type');
  if (text === '') {
    if (!isOptional) throw new ManagerError('invalid_request', 'The body is empty; send a JSON object');
    if (contentType !== null) requireJson(contentType);
    return {};
  }
  requireJson(contentType);
  const body = parseJson(text);
  const limit = maxBytesOf?.(body);
  if (limit !== undefined && Buffer.byteLength(text) > limit) throw tooLarge(limit);
  requireStorable(body);
  return body;
}

const tooLarge = (maxBytes: number): ManagerError =>
  new ManagerError('body_too_large', `The body is larger than ${maxBytes} bytes; send it in smaller parts`);

/** Node reads no further than the announced length; only a body without one must be counted while it is read. */
async function readText(request: Request, maxBytes: number): Promise<string> {
  if (request.headers.get('transfer-encoding') === null) {
    if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
    return request.text();
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function requireJson(contentType: string | null): void {
  if (contentType !== null && /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(contentType)) return;
  throw new ManagerError(
    'unsupported_media_type',
    `The content type is ${contentType === null ? 'missing' : `"${contentType.slice(0, 100)}"`}; send application/json`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // V8 quotes the text around the error; a token in it must not reach the response or a log.
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
    if (depth >= maxDepth)
      throw new ManagerError('invalid_request', `The body is nested deeper than ${maxDepth} levels`);
    for (const [key, inner] of Object.entries(value)) {
      refuseUnstorable(key, path);
      open.push({ value: inner, depth: depth + 1, path: path === '' ? key : `${path}.${key}` });
    }
  }
}

function refuseUnstorable(text: string, path: string): void {
  if (!unstorable.test(text)) return;
  const problem = { path: path || '(body)', message: 'holds a NUL character or half of a surrogate pair; remove it' };
  throw invalidRequest('The request', [problem]);
}
