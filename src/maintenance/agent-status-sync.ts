import { openAgentInbox, retireInbox } from '../messaging/agent-inbox.js';
import { listAgentStatuses } from '../stores/clusters/index.js';
import { inboxesOf, setAgentStatus } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inPages, pageSize } from './in-pages.js';

type Deps = Pick<MaintenanceDeps, 'clusters' | 'communication' | 'settings' | 'notify' | 'warn'>;

/**
 * Copies the status of agents to communication_db, which decides there whose subscriptions are suspended and who is
 * chosen last. Only differences are written, and inboxes that are closed under a living agent are opened again. @returns a run: it covers 10,000 agents, and the next one continues there.
 */
export const agentStatusSync = (deps: Deps): (() => Promise<void>) =>
  inPages(2, async (after) => {
    const agents = await listAgentStatuses(deps.clusters, after, pageSize);
    const present = agents.filter(({ status }) => status !== 'left');
    const presentIds = present.map(({ id }) => id);
    const leftIds = agents.filter(({ status }) => status === 'left').map(({ id }) => id);
    await setAgentStatus(
      deps.communication,
      presentIds,
      present.map(({ status }) => status),
    );
    // A server that stopped between its writes to the two databases left such inboxes closed or open.
    for (const id of await inboxesOf(deps.communication, presentIds, 'closed')) await openAgentInbox(deps, id);
    for (const id of await inboxesOf(deps.communication, leftIds, 'open')) await retireInbox(deps, id);
    return agents.length < pageSize ? undefined : agents.at(-1)?.id;
  });
