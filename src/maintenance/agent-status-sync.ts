import { retireInbox } from '../messaging/agent-inbox.js';
import { listAgentStatuses } from '../stores/clusters/index.js';
import { openInboxesOf, setAgentStatus } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inPages, pageSize } from './in-pages.js';

type Deps = Pick<MaintenanceDeps, 'clusters' | 'communication' | 'settings' | 'notify'>;

/**
 * Copies the status of agents to communication_db, which decides there whose subscriptions are suspended and who is
 * chosen last. Only differences are written. @returns a run: it covers 10,000 agents, and the next one continues there.
 */
export const agentStatusSync = (deps: Deps): (() => Promise<void>) =>
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
