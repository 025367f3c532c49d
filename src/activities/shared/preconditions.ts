import { identifier } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { problemsOf } from '../../contracts/formation.js';
import type { ActivityDeps } from '../deps.js';

/** @throws ManagerError `capability_disabled` when the settings do not offer this function. */
export function requireCapability({ settings }: ActivityDeps, capability: string, does: string): void {
  if (settings.capabilities.includes(capability)) return;
  throw new ManagerError(
    'capability_disabled',
    `This manager does not ${does}: "${capability}" is not among its capabilities`,
  );
}

/** A request that any Temporal client started may name its operation as it likes. @throws ManagerError `invalid_request`. */
export function requireOperationId(operationId: string): void {
  const id = identifier.safeParse(operationId);
  if (id.success) return;
  const problems = problemsOf(id.error).map((problem) => ({ ...problem, path: 'requestId' }));
  throw new ManagerError(
    'invalid_request',
    `requestId "${String(operationId).slice(0, 140)}" (given, or taken from the workflow id) ${problems[0]?.message ?? 'is not valid'}`,
    { problems },
  );
}
