import { invalidRequest, ManagerError, type Problem } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';

/** How far a sample's time may be from the server's clock: older ones are useless, and later ones show a wrong clock. */
const maxBehindMs = 600_000;
const maxAheadMs = 60_000;

export const usageHandlers = (deps: ResourceDeps) =>
  ({
    reportUsage: async ({ body, principal }) => {
      const nowMs = Date.now();
      const samples = body.samples.map(({ at, ...sample }) => ({
        ...sample,
        atMs: at === undefined ? nowMs : Date.parse(at),
      }));
      requireCurrent(samples, nowMs);
      await requireKnownAgents(deps, principal, [...new Set(samples.map(({ agentId }) => agentId))]);
      await deps.usage.add(samples);
      return { samples: samples.length };
    },
  }) satisfies Partial<Handlers>;

function requireCurrent(samples: readonly { readonly atMs: number }[], nowMs: number): void {
  const problems = samples.flatMap(({ atMs }, index): Problem[] => {
    if (atMs >= nowMs - maxBehindMs && atMs <= nowMs + maxAheadMs) return [];
    const seconds = Math.round(Math.abs(atMs - nowMs) / 1000);
    return [
      {
        path: `samples.${index}.at`,
        message:
          `is ${seconds} s ${atMs > nowMs ? 'ahead of' : 'behind'} the server's clock; up to ${maxAheadMs / 1000} s ahead ` +
          `and ${maxBehindMs / 1000} s behind are allowed. Correct the clock, or leave \`at\` out`,
      },
    ];
  });
  if (problems.length > 0) throw invalidRequest('The request', problems.slice(0, 20));
}

/** An agent reports its own usage only; other callers report that of registered agents. */
async function requireKnownAgents(
  { agentsKnown }: ResourceDeps,
  { agentId }: Principal,
  ids: readonly string[],
): Promise<void> {
  const known = agentId === null ? await agentsKnown.add(ids) : ids.map((id) => id === agentId);
  const unknown = ids.filter((_, index) => known[index] !== true);
  if (unknown.length === 0) return;
  const named = unknown.slice(0, 5).map((id) => `"${id}"`);
  const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : '';
  throw new ManagerError(
    'not_found',
    `These agents do not exist: ${named.join(', ')}${more}; nothing of this report was stored`,
  );
}
