import { retireInbox } from '../messaging/agent-inbox.js';
import { listAgentStatuses } from '../stores/clusters/index.js';
import { openInboxesOf, setAgentStatus } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';

type Deps = Pick<MaintenanceDeps, 'clusters' | 'communication' | 'settings' | 'notify'>;

const page = 5_000;
const pagesPerRun = 2;

/**
 * Copies the status of agents to communication_db, which decides there whose subscriptions are suspended and who is
 * chosen last. Only differences are written. @returns a run: it covers 10,000 agents, and the next one continues there.
 */
export function agentStatusSync(deps: Deps): () => Promise<void> {
  let after = '';
  return async () => {
    for (let pages = 0; pages < pagesPerRun; pages += 1) {
      after = await syncPage(deps, after);
      if (after === '') return;
    }
  };
}

/** @returns the last id of the page, or an empty one after the last page. */
async function syncPage(deps: Deps, after: string): Promise<string> {
  const agents = await listAgentStatuses(deps.clusters, after, page);
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
  return agents.length < page ? '' : (agents.at(-1)?.id ?? '');
}
