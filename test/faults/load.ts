import { ManagerError } from '../../src/contracts/errors.js';
import { addAgents } from '../support/fleet.js';
import type { Deployment } from './deployment.js';

export interface Load {
  /** The number of requests so far, whether or not they reached the manager. */
  readonly asked: () => number;
  /** Stops sending requests. Operations that have started continue. */
  readonly stop: () => Promise<void>;
}

/**
 * Runs `atOnce` callers at the same time. Each forms clusters of three to five of 24 agents one after the other, and
 * dissolves most of them. A caller that meets a refusal or an unavailable service sends its next request.
 */
export async function startLoad(
  deployment: Deployment,
  { atOnce, random }: { atOnce: number; random: () => number },
): Promise<Load> {
  await addAgents(
    deployment.stores.clusters,
    24,
    { capabilities: ['work'], maxClusters: 2, resources: { slots: 4 } },
    'load',
  );
  let asked = 0;
  let stopped = false;
  const runCaller = async (): Promise<void> => {
    while (!stopped) {
      asked += 1;
      const requestId = `load-${asked}`;
      const size = { desired: 3 + Math.floor(random() * 3) };
      try {
        const request = { requestId, name: 'load', requiredCapabilities: ['work'], resources: { slots: 1 }, size };
        const { clusterId } = await withinPatience(deployment.manager.formCluster(request));
        if (random() < 0.9) {
          const end = { operationId: `end-${requestId}`, clusterId, drainSeconds: 0 };
          await withinPatience(deployment.manager.result(await deployment.manager.startDissolution(end)));
        }
      } catch (error) {
        // Refused, or Temporal is down. The test waits for all operations later, so it finds any that never ends.
        if (!(error instanceof ManagerError)) await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  };
  const callers = Array.from({ length: atOnce }, runCaller);
  return {
    asked: () => asked,
    stop: async () => {
      stopped = true;
      await Promise.all(callers);
    },
  };
}

const patienceMs = 20_000;

/** @throws when there is no result after 20 s: a caller that waited for a lost workflow would send no more requests. */
async function withinPatience<Result>(result: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer yet')), patienceMs);
  });
  try {
    return await Promise.race([result, patience]);
  } finally {
    clearTimeout(timer);
  }
}
