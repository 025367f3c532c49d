import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../contracts/errors.js';
import type { Principal } from '../stores/clusters/index.js';
import { acceptOperation, findOperation, type NewOperation, type OperationRow } from '../stores/clusters/index.js';
import { partyOf } from '../http/middleware/authorization.js';
import type { ApiDeps, ApiEnv } from '../http/deps.js';
import { hasEnded } from './view.js';
import { resumeOperation } from './resume.js';
import { invalidRequest } from '../http/middleware/validation.js';

/** Who is named as the one that asked: an agent by its id, which outlives its tokens; others by their token. */
export const requesterOf = (principal: Principal): string =>
  `${partyOf(principal)}:${principal.agentId ?? principal.tokenId}`;

/**
 * Refuses what the settings turned off.
 * @throws ManagerError `relationship_refused`, `capability_disabled`.
 */
export function requireFunction(deps: ApiDeps, principal: Principal, capability: string): void {
  const { capabilities, relationships } = deps.config();
  const relationship = { orchestrator: 'orchestrator', agent: 'all_agents' }[partyOf(principal) as string];
  if (relationship !== undefined && !relationships.some((listed) => listed === relationship)) {
    throw new ManagerError(
      'relationship_refused',
      `This manager accepts requests from ${relationships.join(', ')}; add "${relationship}" to cluster_manager.relationships`,
    );
  }
  if (!capabilities.some((listed) => listed === capability)) {
    throw new ManagerError(
      'capability_disabled',
      `This manager offers ${capabilities.join(', ')}; add "${capability}" to cluster_manager.capabilities`,
    );
  }
}

/** Ids that the manager derives itself: a request that took one would stand in the way of what it names. */
const reserved = /^op_(dissolve|repair|urgent)_/;

/**
 * The id of the operation that a request asks for: its own `requestId`, else one derived from the idempotency key and
 * who sent it, so that nobody's key can meet another's, else a new one.
 */
export function operationIdOf(c: Context<ApiEnv>, requestId: string | undefined): string {
  if (requestId !== undefined) {
    if (!reserved.test(requestId)) return requestId;
    throw invalidRequest([
      { path: 'requestId', message: `is "${requestId}"; op_dissolve_ and op_repair_ are the manager's own` },
    ]);
  }
  const key = c.req.header('idempotency-key');
  if (key === undefined) return `op_${uuidv7()}`;
  return `op_${derivedUuid(`${c.var.principal.agentId ?? c.var.principal.tokenId}\n${key}`)}`;
}

/** A UUID made from a text: version 8, whose bits are the maker's own. Source: RFC 9562, 5.8. */
function derivedUuid(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * Writes the operation, then starts its workflow. The row comes first: what was accepted is never forgotten, and a
 * second request with its id joins it.
 * @throws ManagerError `idempotency_conflict`; `service_unavailable` when it is stored and not yet started.
 */
export async function submitOperation(deps: ApiDeps, principal: Principal, asked: NewOperation): Promise<OperationRow> {
  const { operation, created } = await acceptOperation(deps.clusters, asked);
  if (principal.agentId !== null && operation.requestedBy !== asked.requestedBy) {
    throw new ManagerError('idempotency_conflict', `"${asked.id}" is the id of another party's request; use a new one`);
  }
  if (created && operation.kind === 'FORMATION') deps.metrics.formations.inc({ outcome: 'accepted' });
  if (!hasEnded(operation)) await resumeOperation(deps, operation);
  return operation;
}

const firstLookMs = 50;
const lastLookMs = 250;

/** Waits until an operation has ended or the time is over. Its row is the truth, whoever ends it. */
export async function waitForOperation(
  deps: ApiDeps,
  operation: OperationRow,
  waitSeconds: number,
  callerLeft: AbortSignal,
): Promise<OperationRow> {
  const endsAtMs = performance.now() + waitSeconds * 1000;
  let current = operation;
  for (let pauseMs = firstLookMs; !hasEnded(current); pauseMs = Math.min(lastLookMs, pauseMs * 1.5)) {
    const leftMs = endsAtMs - performance.now();
    if (leftMs <= 0 || callerLeft.aborted || deps.stopping.aborted) break;
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)));
    current = (await findOperation(deps.clusters, operation.id)) ?? current;
  }
  return current;
}
