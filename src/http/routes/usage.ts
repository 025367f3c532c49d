import { usageReport } from '../../contracts/resources.js';
import { ManagerError, type Problem } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { UsageSample } from '../../stores/resources/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { invalidRequest } from '../middleware/validation.js';

/** How far a sample's time may be from the server's clock: an older one says nothing, a later one nobody can have read. */
const oldestMs = 600_000;
const aheadMs = 60_000;

const report = operationRoute({
  operationId: 'reportUsage',
  method: 'post',
  path: '/v1/usage',
  summary: 'Say what agents use now, up to 1,000 samples. The same report again counts once',
  tags: ['resources'],
  request: { body: jsonRequest(usageReport) },
  responses: { 202: json(shapes.usageAnswer, 'Stored') },
});

export function usageRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(report, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { samples } = c.req.valid('json');
    const nowMs = Date.now();
    const read = samples.map(({ at, ...sample }) => ({ ...sample, atMs: at === undefined ? nowMs : Date.parse(at) }));
    refuseOtherTimes(read, nowMs);
    await refuseOthers(deps, c.var.principal, [...new Set(read.map(({ agentId }) => agentId))]);
    await deps.usage.add(read);
    return c.json({ samples: read.length }, 202);
  });
}

function refuseOtherTimes(samples: readonly (UsageSample & { readonly atMs: number })[], nowMs: number): void {
  const problems = samples.flatMap(({ atMs }, index): Problem[] => {
    if (atMs >= nowMs - oldestMs && atMs <= nowMs + aheadMs) return [];
    const seconds = Math.round(Math.abs(atMs - nowMs) / 1000);
    return [
      {
        path: `samples.${index}.at`,
        message:
          `is ${seconds} s ${atMs > nowMs ? 'ahead of' : 'behind'} the server's clock; up to ${aheadMs / 1000} s ahead ` +
          `and ${oldestMs / 1000} s behind are allowed. Set the clock right, or leave it out`,
      },
    ];
  });
  if (problems.length > 0) throw invalidRequest(problems.slice(0, 20));
}

/** An agent tells of itself only; others tell of agents that are there. */
async function refuseOthers(
  { agentsKnown }: ResourceDeps,
  { agentId }: Principal,
  ids: readonly string[],
): Promise<void> {
  if (agentId !== null) {
    const other = ids.find((id) => id !== agentId);
    if (other !== undefined) throw new ManagerError('not_found', `There is no agent "${other}"`);
    return;
  }
  const known = await agentsKnown.add(ids);
  const unknown = ids.filter((_, index) => known[index] !== true);
  if (unknown.length === 0) return;
  const named = unknown.slice(0, 5).map((id) => `"${id}"`);
  const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : '';
  throw new ManagerError(
    'not_found',
    `There is no agent ${named.join(', ')}${more}; nothing of this report was stored`,
  );
}
