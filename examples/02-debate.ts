/**
 * Two clusters of three agents debate a question. Statements are published on a topic that every agent subscribes to. Turns,
 * advice among team-mates and votes use request and reply.
 *
 *   npm start                                    in one terminal
 *   node --import tsx examples/02-debate.ts      in another
 *
 * For a manager on another machine set TEMPORAL_ADDRESS, CLUSTER_MANAGER_URL and CLUSTER_MANAGER_ENROLMENT_TOKEN.
 */
import { connectClusterManager, type ClusterManagerClient } from 'cluster-manager';
import { createAgent } from 'cluster-manager/agent';
import { createDebater, type Side, type Statement } from './support/debater.js';
import { managerAddress } from './support/manager-address.js';
import { runWithAgents } from './support/run-example.js';

const { url, enrolmentToken, temporalAddress } = managerAddress();
const managerId = process.argv[2] ?? 'cluster-manager-1';

const question = 'Should a team of five begin with one service or with many?';
const sides: readonly Side[] = [
  {
    name: 'one service',
    capability: 'argue-for-one',
    members: ['ada', 'bo', 'cy'],
    arguments: [
      ['Five people can keep one program in their heads, and one deployment on their pagers.', 3],
      ['A call inside a process does not time out.', 4],
    ],
  },
  {
    name: 'many services',
    capability: 'argue-for-many',
    members: ['dee', 'eli', 'fay'],
    arguments: [
      ['Services that are separate from the first day need not be separated later.', 3],
      ['Each part fails by itself, and is replaced by itself.', 3],
    ],
  },
];
const rounds = 2;
const topic = `debate.${Date.now().toString(36)}`;

const debaters = sides.flatMap((side) =>
  side.members.map((id) => createDebater(id, side, topic, { url, enrolmentToken })),
);
const moderator = createAgent({ id: 'moderator', url, token: enrolmentToken });
moderator.onMessage(({ type, data }) => {
  if (type !== 'debate.statement') return;
  const { side, speaker, text } = data as Statement;
  console.log(`  ${speaker} (${side}): ${text}`);
});

await runWithAgents([moderator, ...debaters], async () => {
  const manager = await connectClusterManager({ address: temporalAddress, namespace: 'default', managerId });
  const clusterIds: string[] = [];
  try {
    for (const side of sides) clusterIds.push(await formTeam(manager, side));
    await moderator.createTopic({ name: topic });
    await Promise.all([moderator, ...debaters].map((agent) => agent.subscribe(topic)));
    await debate(clusterIds);
    await vote();
    await moderator.deleteTopic(topic);
  } finally {
    for (const clusterId of clusterIds) {
      const dissolution = { operationId: `op_end-of-${clusterId}`, clusterId, drainSeconds: 5 };
      await manager.result(await manager.startDissolution(dissolution));
    }
    await manager.close();
  }
});

async function formTeam(manager: ClusterManagerClient, { name, capability }: Side): Promise<string> {
  const size = { min: 3, desired: 3, max: 3 };
  const { clusterId, members } = await manager.formCluster({ name, requiredCapabilities: [capability], size });
  console.log(`${name}: ${members.map(({ agentId }) => agentId).join(', ')}`);
  return clusterId;
}

async function debate(clusterIds: readonly string[]): Promise<void> {
  console.log(`\n${question}`);
  for (let round = 1; round <= rounds; round++) {
    console.log(`\nround ${round}`);
    for (const [index, { capability }] of sides.entries()) {
      // Addressed to a capability, the message goes to the least busy member.
      const to = { capability, cluster: clusterIds[index] };
      const spoke = await moderator.request(to, { type: 'debate.your-turn', data: null });
      const { adviser } = spoke.data as { readonly adviser: string };
      console.log(`    suggested by ${adviser}`);
    }
  }
}

async function vote(): Promise<void> {
  console.log('\nvotes');
  const votes = await Promise.all(
    debaters.map(({ id }) => moderator.request({ agent: id }, { type: 'debate.vote', data: null })),
  );
  const counts = new Map<string, number>();
  for (const { source, data } of votes) {
    const ballot = data as { readonly heard: number; readonly for: string };
    counts.set(ballot.for, (counts.get(ballot.for) ?? 0) + 1);
    console.log(`  ${source} heard ${ballot.heard} statements and votes for "${ballot.for}"`);
  }
  const [winner] = [...counts].sort(([, a], [, b]) => b - a);
  console.log(`\n"${winner?.[0]}" wins with ${winner?.[1]} of ${votes.length} votes`);
}
