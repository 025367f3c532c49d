/**
 * One agent as a process of its own. It registers, keeps its lease and writes a journal of what it meets, one JSON
 * object a line, on stdout.
 *
 *   npx tsx examples/agent-process.ts --id translator-1 --capability translate
 *
 * With --journal it also takes part in the talk of its cluster and writes to that file what it sent, received and acked.
 * The address comes from --url or CLUSTER_MANAGER_URL, the token from CLUSTER_MANAGER_ENROLMENT_TOKEN; without them both
 * are those of the manager that `npm start` runs in this folder. Ctrl-C lets the agent leave.
 */
import { parseArgs } from 'node:util';
import { createAgent } from 'cluster-manager/agent';
import { openJournal } from './support/journal.js';
import { createTalker } from './support/talk.js';
import { whereTheManagerIs } from './support/where-the-manager-is.js';

const manager = whereTheManagerIs();

const { values } = parseArgs({
  options: {
    id: { type: 'string' },
    url: { type: 'string', default: manager.url },
    capability: { type: 'string', multiple: true, default: [] },
    slots: { type: 'string' },
    host: { type: 'string' },
    acceptance: { type: 'string', default: 'auto' },
    'max-clusters': { type: 'string', default: '1' },
    'think-ms': { type: 'string', default: '0' },
    journal: { type: 'string' },
    'follow-stdin': { type: 'boolean', default: false },
  },
});

const token = manager.enrolmentToken;
if (!values.id || !token) {
  console.error(
    'agent-process: needs --id, and CLUSTER_MANAGER_ENROLMENT_TOKEN unless "npm start" runs in this folder',
  );
  process.exit(2);
}

const say = (event: string, facts: object = {}): void =>
  console.log(JSON.stringify({ at: new Date().toISOString(), agent: values.id, event, ...facts }));

const agent = createAgent({
  id: values.id,
  url: values.url,
  token,
  capabilities: values.capability,
  maxClusters: Number(values['max-clusters']),
  acceptance: values.acceptance === 'ask' ? 'ask' : 'auto',
  concurrency: 4,
  ...(values.host ? { host: values.host } : {}),
  ...(values.slots ? { resources: { slots: Number(values.slots) } } : {}),
});

agent.on('registered', ({ incarnation, again }) => say('registered', { incarnation, again }));
agent.on('joined', ({ cluster }) => say('joined', { ...cluster }));
agent.on('changed', ({ cluster }) => say('changed', { ...cluster }));
agent.on('left', (left) => say('left', left));
agent.on('lost-lease', ({ silentMs }) => say('lost-lease', { silentMs }));
agent.on('reconnected', ({ silentMs }) => say('reconnected', { silentMs }));
agent.on('error', (error) => say('error', { message: error.message }));

const proofMs = 2500;
const talker = values.journal ? createTalker(agent, openJournal(values.journal), { say, proofMs }) : undefined;

agent.onMessage(async (message) => {
  if (talker) await talker.hear(message);
  else say('message', { id: message.id, type: message.type, clusterId: message.clusterId });
});

// An agent that already serves a cluster takes its time to decide about another, as one that asks a model would.
agent.onInvitation(async ({ clusterId }, { signal }) => {
  say('invited', { clusterId });
  if (agent.clusters().length > 0) await untilDecided(Number(values['think-ms']), signal);
  say('accepted', { clusterId });
  return { answer: 'accept' };
});

function untilDecided(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new Error('The agent stops before it has decided'));
    });
  });
}

const leave = async (why: string): Promise<void> => {
  say('leaving', { why });
  await agent.leave().catch((error: unknown) => say('error', { message: String(error) }));
  process.exit(0);
};
process.once('SIGINT', () => void leave('SIGINT'));
process.once('SIGTERM', () => void leave('SIGTERM'));
if (values['follow-stdin']) {
  // Whoever started this process holds the other end: when that is gone, so is the reason to go on.
  process.stdin.once('end', () => void leave('stdin ended')).resume();
}

try {
  await agent.start();
} catch (error) {
  say('refused', { message: String(error) });
  process.exit(1);
}
