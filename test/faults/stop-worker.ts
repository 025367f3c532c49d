import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';

let runs = 0;

/** Starts a formation of three agents of its own kind. */
export async function startFormation({ stores, manager }: Deployment) {
  runs += 1;
  const name = `stopped-${runs}`;
  await addAgents(stores.clusters, 3, { capabilities: [name] }, name);
  return manager.startFormation({ requestId: name, name, requiredCapabilities: [name] });
}

/** Waits for the worker that stops at the point. @returns what lets it go on. */
export async function stopAt(deployment: Deployment, point: string): Promise<() => void> {
  const pid = await waitFor(`the worker at ${point}`, () => deployment.fired(point), { timeoutMs: 30_000, everyMs: 5 });
  return () => process.kill(pid, 'SIGCONT');
}

/** A formation that ends shows that both workers are alive again and that what was held up is over. */
export const formAnother = async (deployment: Deployment): Promise<unknown> =>
  deployment.manager.result((await startFormation(deployment)).workflowId);
