/**
 * Two clusters of three agents debate a question. What they say goes by a topic that all of them hear; whose turn it is,
 * counsel among team-mates and the votes go by request and reply.
 *
 *   npm start                                    in one terminal
 *   node --import tsx examples/02-debate.ts      in another
 *
 * Elsewhere than on this machine, set TEMPORAL_ADDRESS, CLUSTER_MANAGER_URL and CLUSTER_MANAGER_ENROLMENT_TOKEN.
 */
import { connectClusterManager } from 'cluster-manager';
import { createAgent } from 'cluster-manager/agent';
import { ManagerError } from 'cluster-manager/contracts';
import { createDebater, type Side, type Statement } from './support/debater.js';
import { whereTheManagerIs } from './support/where-the-manager-is.js';

const { url, enrolmentToken, temporalAddress } = whereTheManagerIs();
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
      ['What is apart from the first day need not be torn apart later.', 3],
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

try {
  await Promise.all([moderator, ...debaters].map((agent) => agent.start()));
  const manager = await connectClusterManager({ address: temporalAddress, namespace: 'default', managerId });
  const clusterIds: string[] = [];
  try {
    for (const { name, capability } of sides) {
      const { clusterId, members } = await manager.formCluster({
        name,
        requiredCapabilities: [capability],
        size: { min: 3, desired: 3, max: 3 },
      });
      clusterIds.push(clusterId);
      console.log(`${name}: ${members.map(({ agentId }) => agentId).join(', ')}`);
    }
    await moderator.createTopic({ name: topic });
    await Promise.all([moderator, ...debaters].map((agent) => agent.subscribe(topic)));

    console.log(`\n${question}`);
    for (let round = 1; round <= rounds; round++) {
      console.log(`\nround ${round}`);
      for (const [at, { capability }] of sides.entries()) {
        // To whichever member is least busy.
        const to = { capability, cluster: clusterIds[at] };
        const spoke = await moderator.request(to, { type: 'debate.your-turn', data: null });
        const { counsellor } = spoke.data as { readonly counsellor: string };
        console.log(`    by the counsel of ${counsellor}`);
      }
    }

    console.log('\nvotes');
    const votes = await Promise.all(
      debaters.map(({ id }) => moderator.request({ agent: id }, { type: 'debate.vote', data: null })),
    );
    const tally = new Map<string, number>();
    for (const { source, data } of votes) {
      const vote = data as { readonly heard: number; readonly for: string };
      tally.set(vote.for, (tally.get(vote.for) ?? 0) + 1);
      console.log(`  ${source} heard ${vote.heard} statements and votes for ${vote.for}`);
    }
    const [winner] = [...tally].sort(([, a], [, b]) => b - a);
    console.log(`\n${winner?.[0]} it is, with ${winner?.[1]} of ${votes.length} votes`);
    await moderator.deleteTopic(topic);
  } finally {
    for (const clusterId of clusterIds) {
      const end = { operationId: `op_end-of-${clusterId}`, clusterId, drainSeconds: 5 };
      await manager.result(await manager.startDissolution(end));
    }
    await manager.close();
  }
} catch (error) {
  // A refusal has a stable code and says what to do; anything else is a fault.
  if (!(error instanceof ManagerError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all([moderator, ...debaters].map((agent) => agent.leave()));
}
