import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';

let runs = 0;

/** Starts a formation of three new agents that have a capability of their own. */
export async function startFormation({ stores, manager }: Deployment) {
  runs += 1;
  const name = `stopped-${runs}`;
  await addAgents(stores.clusters, 3, { capabilities: [name] }, name);
  return manager.startFormation({ requestId: name, name, requiredCapabilities: [name] });
}

/** Waits until a worker is paused at the failpoint. @returns what continues it. */
export async function stopAt(deployment: Deployment, point: string): Promise<() => void> {
  const pid = await waitFor(`the worker at ${point}`, () => deployment.fired(point), { timeoutMs: 30_000, everyMs: 5 });
  return () => process.kill(pid, 'SIGCONT');
}

/** Forms a cluster, which proves that the workers run again and have finished the tasks that were delayed. */
export const formAnother = async (deployment: Deployment): Promise<unknown> =>
  deployment.manager.result((await startFormation(deployment)).workflowId);
