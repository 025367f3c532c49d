/**
 * An orchestrator in TypeScript: three agents register, a cluster is formed through Temporal, and each member prints the
 * member list that it received.
 *
 *   npm start                                              in one terminal
 *   node --import tsx examples/01-form-a-cluster.ts        in another
 *
 * For a manager on another machine set TEMPORAL_ADDRESS, CLUSTER_MANAGER_URL and CLUSTER_MANAGER_ENROLMENT_TOKEN.
 */
import { connectClusterManager } from 'cluster-manager';
import { createAgent, type Agent } from 'cluster-manager/agent';
import { managerAddress } from './support/manager-address.js';
import { runWithAgents } from './support/run-example.js';

const { url, enrolmentToken, temporalAddress } = managerAddress();
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

const memberListOf = (agent: Agent): Promise<string> =>
  new Promise((resolve) =>
    agent.on('joined', ({ cluster }) =>
      resolve(`${agent.id} joined ${cluster.name}: ${cluster.members.map(({ agentId }) => agentId).join(', ')}`),
    ),
  );

await runWithAgents(agents, async () => {
  const memberLists = Promise.all(agents.map(memberListOf));
  const manager = await connectClusterManager({ address: temporalAddress, namespace: 'default', managerId });
  try {
    const cluster = await manager.formCluster({
      name: 'translators',
      requiredCapabilities: ['translate', 'review'],
      size: { min: 3, desired: 3, max: 3 },
      spread: { by: 'host', mode: 'hard' },
    });
    console.log(`formed ${cluster.clusterId}, epoch ${cluster.epoch}, coordinator ${cluster.coordinator}`);
    for (const line of await memberLists) console.log(line);
  } finally {
    await manager.close();
  }
});
