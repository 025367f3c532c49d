import { retireInbox } from '../messaging/agent-inbox.js';
import { listAgentStatuses, reportedUsage } from '../stores/clusters/index.js';
import { openInboxesOf, setAgentStatus } from '../stores/communication/index.js';
import { recordUsage, usageRulesOf } from '../stores/resources/index.js';
import type { MaintenanceDeps } from './deps.js';

type StatusDeps = Pick<MaintenanceDeps, 'clusters' | 'communication' | 'settings' | 'notify'>;
type UsageDeps = Pick<MaintenanceDeps, 'clusters' | 'resources' | 'config'>;

const pageSize = 5_000;

/**
 * Copies the status of agents to communication_db, which decides there whose subscriptions are suspended and who is
 * chosen last. Only differences are written. @returns a run: it covers 10,000 agents, and the next one continues there.
 */
export const agentStatusSync = (deps: StatusDeps): (() => Promise<void>) =>
  inPages(2, async (after) => {
    const agents = await listAgentStatuses(deps.clusters, after, pageSize);
    const present = agents.filter(({ status }) => status !== 'left');
    if (present.length > 0) {
      await setAgentStatus(
        deps.communication,
        present.map(({ id }) => id),
        present.map(({ status }) => status),
      );
    }
    const left = agents.filter(({ status }) => status === 'left').map(({ id }) => id);
    // A server that stopped between its writes to the two databases left such an inbox open.
    if (left.length > 0) for (const id of await openInboxesOf(deps.communication, left)) await retireInbox(deps, id);
    return agents.length < pageSize ? undefined : agents.at(-1)?.id;
  });

/**
 * Stores the usage that members reported by heartbeat as samples, once a sample period. Servers may do it at the same
 * time: of several samples of one period the last counts. @returns a run; a run that reaches its limit of pages is
 * continued by the next.
 */
export function usageSampler({ clusters, resources, config }: UsageDeps): () => Promise<void> {
  let dueMs = 0;
  return inPages(
    20,
    async (after) => {
      const { samples, last } = await reportedUsage(clusters, { after, limit: pageSize });
      if (samples.length > 0) await recordUsage(resources, samples, usageRulesOf(config()));
      return last;
    },
    () => {
      if (Date.now() < dueMs) return false;
      dueMs = Date.now() + config().scaling.samplePeriodSeconds * 1_000 - 50;
      return true;
    },
  );
}

/**
 * Goes through agents page by page; a run that reaches its limit of pages is continued by the next one.
 * @param visit returns the last id of the page, undefined after the last page.
 * @param begins whether a run may begin with the first page.
 */
function inPages(
  maxPages: number,
  visit: (after: string) => Promise<string | undefined>,
  begins = (): boolean => true,
): () => Promise<void> {
  let after = '';
  return async () => {
    if (after === '' && !begins()) return;
    for (let pages = 0; pages < maxPages; pages += 1) {
      after = (await visit(after)) ?? '';
      if (after === '') return;
    }
  };
}
