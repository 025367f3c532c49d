import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { invalidRequest } from '../contracts/errors.js';
import type { Principal } from '../stores/clusters/index.js';

/** Prefixes of the ids that the manager derives itself: a request that used one could block that operation. */
const reserved = /^op_(dissolve|repair|urgent)_/;

/**
 * The id of the operation that a request asks for: its own `requestId`, else one derived from the idempotency key and
 * the caller, so that the keys of two callers never collide, else a new one.
 * @throws ManagerError `invalid_request` for a `requestId` that the manager derives itself.
 */
export function operationIdOf(
  { agentId, tokenId }: Principal,
  {
    requestId,
    idempotencyKey,
  }: { readonly requestId?: string | undefined; readonly idempotencyKey?: string | undefined },
): string {
  if (requestId === undefined) {
    return `op_${idempotencyKey === undefined ? uuidv7() : derivedUuid(`${agentId ?? tokenId}\n${idempotencyKey}`)}`;
  }
  if (!reserved.test(requestId)) return requestId;
  const message = `is "${requestId}"; ids that begin with op_dissolve_, op_repair_ or op_urgent_ are reserved for the manager`;
  throw invalidRequest('The request', [{ path: 'requestId', message }]);
}

/** A UUID derived from a text, of version 8 (custom bits). Source: RFC 9562, 5.8. */
function derivedUuid(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
