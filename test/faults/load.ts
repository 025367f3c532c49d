import { ManagerError } from '../../src/contracts/errors.js';
import { addAgents } from '../support/fleet.js';
import type { Deployment } from './deployment.js';

export interface Load {
  /** Operations that were asked for, whether or not the request got through. */
  readonly asked: () => number;
  /** Ends the asking; what was asked goes on. */
  readonly stop: () => Promise<void>;
}

/**
 * Asks for clusters of 3 or more among 24 agents, one after another in each of `atOnce` lines, and dissolves most that
 * form. A service that is away is no error of the load: it asks again.
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
  const line = async (): Promise<void> => {
    while (!stopped) {
      asked += 1;
      const requestId = `load-${asked}`;
      const size = { desired: 3 + Math.floor(random() * 3) };
      try {
        const request = { requestId, name: 'load', requiredCapabilities: ['work'], resources: { slots: 1 }, size };
        const { clusterId } = await orGiveUp(deployment.manager.formCluster(request));
        if (random() < 0.9) {
          const end = { operationId: `end-${requestId}`, clusterId, drainSeconds: 0 };
          await orGiveUp(deployment.manager.result(await deployment.manager.startDissolution(end)));
        }
      } catch (error) {
        // Refused, or Temporal is away. Anything unfinished is found by whoever waits for all operations to end.
        if (!(error instanceof ManagerError)) await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  };
  const lines = Array.from({ length: atOnce }, line);
  return {
    asked: () => asked,
    stop: async () => {
      stopped = true;
      await Promise.all(lines);
    },
  };
}

const patienceMs = 20_000;

/** A caller's patience: a line that waited for a run that was lost would never ask again. */
async function orGiveUp<Result>(result: Promise<Result>): Promise<Result> {
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
