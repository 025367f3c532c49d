/**
 * An orchestrator in TypeScript: three agents join, a cluster is formed through Temporal, and each member says who is in.
 *
 *   npm start                                              in one terminal
 *   node --import tsx examples/01-form-a-cluster.ts        in another
 *
 * Elsewhere than on this machine, set TEMPORAL_ADDRESS, CLUSTER_MANAGER_URL and CLUSTER_MANAGER_ENROLMENT_TOKEN.
 */
import { connectClusterManager } from 'cluster-manager';
import { createAgent } from 'cluster-manager/agent';
import { ManagerError } from 'cluster-manager/contracts';
import { whereTheManagerIs } from './support/where-the-manager-is.js';

const { url, enrolmentToken, temporalAddress } = whereTheManagerIs();
// The manager's id in cluster-manager.yaml, which is its Temporal task queue.
const managerId = process.argv[2] ?? 'cluster-manager-1';

const agents = ['translator-1', 'translator-2', 'reviewer-1'].map((id) =>
  createAgent({
    id,
    url,
    token: enrolmentToken,
    capabilities: id.startsWith('translator') ? ['translate'] : ['review'],
    host: `host-of-${id}`,
  }),
);

try {
  await Promise.all(agents.map((agent) => agent.start()));
  const everyMemberKnows = Promise.all(
    agents.map(
      (agent) =>
        new Promise<string>((resolve) =>
          agent.on('joined', ({ cluster }) =>
            resolve(`${agent.id} joined ${cluster.name}: ${cluster.members.map(({ agentId }) => agentId).join(', ')}`),
          ),
        ),
    ),
  );

  const manager = await connectClusterManager({ address: temporalAddress, namespace: 'default', managerId });
  try {
    const cluster = await manager.formCluster({
      name: 'translators',
      requiredCapabilities: ['translate', 'review'],
      size: { min: 3, desired: 3, max: 3 },
      spread: { by: 'host', mode: 'hard' },
    });
    console.log(`formed ${cluster.clusterId}, epoch ${cluster.epoch}, coordinator ${cluster.coordinator}`);
    for (const line of await everyMemberKnows) console.log(line);
  } finally {
    await manager.close();
  }
} catch (error) {
  // A refusal has a stable code and says what to do; anything else is a fault.
  if (!(error instanceof ManagerError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all(agents.map((agent) => agent.leave()));
}
