import { invalidRequest, ManagerError } from '../../contracts/errors.js';
import { requireParsable } from './json-structure.js';

interface BodyLimits {
  /** Whether a request without a body is read as `{}`. */
  readonly isOptional: boolean;
  readonly maxBytes: number;
  /** A smaller limit that depends on what the body holds. */
  readonly maxBytesOf: ((body: unknown) => number | undefined) | undefined;
  /** Counts bytes before they are read; throws when there are too many. */
  readonly takeBytes: (bytes: number) => Promise<void> | undefined;
}

/**
 * Reads a JSON body: its size before it is read, its content type, its syntax, and that all of its strings can be stored.
 * @throws ManagerError `body_too_large`, `unsupported_media_type`, `invalid_request`.
 */
export async function readJsonBody(
  request: Request,
  { isOptional, maxBytes, maxBytesOf, takeBytes }: BodyLimits,
): Promise<unknown> {
  const text = await readText(request, maxBytes, takeBytes);
  const contentType = request.headers.get('content-type');
  if (text === '') {
    if (!isOptional) throw new ManagerError('invalid_request', 'The body is empty; send a JSON object');
    if (contentType !== null) requireJson(contentType);
    return {};
  }
  requireJson(contentType);
  requireParsable(text);
  const body = parseJson(text);
  const limit = maxBytesOf?.(body);
  if (limit !== undefined && Buffer.byteLength(text) > limit) throw tooLarge(limit);
  requireStorable(body, text);
  return body;
}

const tooLarge = (maxBytes: number): ManagerError =>
  new ManagerError('body_too_large', `The body is larger than ${maxBytes} bytes; send it in smaller parts`);

/** Node reads no further than the announced length; only a body without one must be counted while it is read. */
async function readText(request: Request, maxBytes: number, takeBytes: BodyLimits['takeBytes']): Promise<string> {
  if (request.headers.get('transfer-encoding') === null) {
    const announced = Number(request.headers.get('content-length') ?? 0);
    if (announced > maxBytes) throw tooLarge(maxBytes);
    await takeBytes(announced);
    return request.text();
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    await takeBytes(chunk.byteLength);
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

/**
 * Refuses NUL and lone surrogates, which JSON allows but PostgreSQL cannot store.
 * @param text of the body. Its bytes were decoded as UTF-8, so only an escape can write such a character.
 */
function requireStorable(body: unknown, text: string): void {
  const path = text.includes('\\u') ? findUnstorable(body) : undefined;
  if (!path) return;
  const message = 'holds a NUL character or half of a surrogate pair; remove it';
  throw invalidRequest('The request', [{ path: path.join('.') || '(body)', message }]);
}

/** @returns the path of the first string that cannot be stored; the path of its object for a key. */
function findUnstorable(value: unknown): string[] | undefined {
  if (typeof value === 'string') return isUnstorable(value) ? [] : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (isUnstorable(key)) return [];
    const path = findUnstorable(inner);
    if (path) return [key, ...path];
  }
  return undefined;
}

const isUnstorable = (text: string): boolean => text.includes('\0') || !text.isWellFormed();
