import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { openRoutes, routeAndDeliver } from '../../src/stores/communication/index.js';
import { openAccount } from '../../src/stores/resources/index.js';
import { compared, quantile, type Figure } from '../figure.js';
import { measureCalls, startBareWorker } from '../formation/throughput.js';
import { clusterName, insertClusters, insertFreeAgents, memberName } from './clusters.js';
import type { Stores } from '../../src/stores/open.js';

const size = 3;

/**
 * (a) scaleCluster without any change, and one that adds a member without a soak, against a bare workflow of four no-op
 * activities. They alternate, and each run has a cluster of its own.
 */
export async function steps(stack: Stack, quick: boolean, stores: Stores): Promise<Figure[]> {
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = '' } = stack.env;
  const rounds = quick ? 3 : 5;
  const runs = quick ? 60 : 120;
  const clusters = rounds * runs + runs;
  await insertClusters(stores.clusters, { from: 1, to: clusters, members: size });
  // Growing clusters need routes and an account, and free agents that can join.
  for (let index = 1; index <= clusters; index += 1) {
    const clusterId = clusterName(index);
    const members = Array.from({ length: size }, (_, member) => ({
      agentId: memberName(index, member + 1),
      roles: [],
    }));
    await openRoutes(
      stores.communication,
      clusterId,
      members.map(({ agentId }) => agentId),
    );
    await routeAndDeliver(stores.communication, { clusterId, epoch: 1, members }, []);
    await openAccount(stores.resources, { clusterId, weight: 1, perMember: {} });
  }
  await insertFreeAgents(stores.clusters, 2 * clusters);
  const stopBare = await startBareWorker(address, namespace, 'bare');
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const manager = createClusterManagerClient(client, 'cluster-manager-1');
  let sequence = 0;
  let unchangedRuns = 0;
  let addingRuns = 0;
  const bare = () =>
    client.workflow.execute('bareFour', { workflowId: `bare-scaling-${(sequence += 1)}`, taskQueue: 'bare' });
  const unchanged = async () => {
    const clusterId = clusterName((unchangedRuns++ % clusters) + 1);
    const { outcome } = await manager.scaleCluster({ clusterId });
    if (outcome !== 'unchanged') throw new Error(`The scaling of ${clusterId} ended as ${outcome}, expected unchanged`);
  };
  const adding = async () => {
    const clusterId = clusterName(addingRuns++ + 1);
    const { outcome, verdict } = await manager.scaleCluster({ clusterId, desired: size + 1, soakSeconds: 0 });
    if (outcome !== 'scaled')
      throw new Error(`The scaling of ${clusterId} ended as ${outcome}, expected scaled: ${verdict}`);
  };
  await measureCalls(20, 10, bare);
  await measureCalls(20, 10, unchanged);
  await measureCalls(20, 10, adding);
  const measured: { bare: number; unchanged: number; adding: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    measured.push({
      bare: (await measureCalls(runs, 40, bare)).perSecond,
      unchanged: (await measureCalls(runs, 40, unchanged)).perSecond,
      adding: (await measureCalls(runs, 40, adding)).perSecond,
    });
  }
  await stopBare();
  await connection.close();
  const median = (of: (one: (typeof measured)[number]) => number) => quantile(measured.map(of), 0.5);
  return (['unchanged', 'adding'] as const).map((which) =>
    compared(
      `scaling.${which}`,
      median((one) => one[which]),
      'workflows/s',
      {
        against: 'bare four no-op activities',
        reference: median((one) => one.bare),
        ratio: median((one) => one[which] / one.bare),
      },
      { text: '>= 0.8', isMet: (ratio) => ratio >= 0.8 },
    ),
  );
}
