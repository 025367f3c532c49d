import { createHash } from 'node:crypto';

/**
 * One hash for the same request however its keys are ordered and whichever way it came in. `requestId` is left out:
 * it names the request, it is not part of it.
 */
export function requestHash(kind: string, request: unknown): string {
  const { requestId: _requestId, ...body } = (request ?? {}) as Record<string, unknown>;
  return createHash('sha256')
    .update(`${kind}\n${canonical(body)}`)
    .digest('hex');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonical(entry)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
