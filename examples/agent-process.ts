/**
 * One agent as a process of its own. It registers, renews its lease and prints its events, one JSON object a line.
 *
 *   npx tsx examples/agent-process.ts --id translator-1 --capability translate
 *
 * With --journal it also takes part in the message traffic of its cluster and records in that file what it sent, received
 * and acked. The address comes from --url or CLUSTER_MANAGER_URL, the token from CLUSTER_MANAGER_ENROLMENT_TOKEN; both
 * default to the manager that `npm start` runs in this folder. On Ctrl-C the agent leaves.
 */
import { parseArgs } from 'node:util';
import { createAgent } from 'cluster-manager/agent';
import { openJournal } from './support/journal.js';
import { managerAddress } from './support/manager-address.js';
import { createTrafficHandler } from './support/message-traffic.js';

const manager = managerAddress();

const { values } = parseArgs({
  options: {
    id: { type: 'string' },
    url: { type: 'string', default: manager.url },
    capability: { type: 'string', multiple: true, default: [] },
    slots: { type: 'string' },
    host: { type: 'string' },
    acceptance: { type: 'string', default: 'auto' },
    'max-clusters': { type: 'string', default: '1' },
    'decide-ms': { type: 'string', default: '0' },
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

const print = (event: string, fields: object = {}): void =>
  console.log(JSON.stringify({ at: new Date().toISOString(), agent: values.id, event, ...fields }));

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

agent.on('registered', ({ incarnation, again }) => print('registered', { incarnation, again }));
agent.on('joined', ({ cluster }) => print('joined', { ...cluster }));
agent.on('changed', ({ cluster }) => print('changed', { ...cluster }));
agent.on('left', (left) => print('left', left));
agent.on('lost-lease', ({ silentMs }) => print('lost-lease', { silentMs }));
agent.on('reconnected', ({ silentMs }) => print('reconnected', { silentMs }));
agent.on('error', (error) => print('error', { message: error.message }));

const noticeMs = 2500;
agent.onMessage(
  values.journal
    ? createTrafficHandler(agent, openJournal(values.journal), { print, noticeMs })
    : ({ id, type, clusterId }) => print('message', { id, type, clusterId }),
);

// A member of one cluster takes some time to decide about another, as an agent that asks a language model would.
agent.onInvitation(async ({ clusterId }, { signal }) => {
  print('invited', { clusterId });
  if (agent.clusters().length > 0) await decide(Number(values['decide-ms']), signal);
  print('accepted', { clusterId });
  return { answer: 'accept' };
});

function decide(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new Error('The agent stopped before it had decided'));
    });
  });
}

const leave = async (why: string): Promise<void> => {
  print('leaving', { why });
  await agent.leave().catch((error: unknown) => print('error', { message: String(error) }));
  process.exit(0);
};
process.once('SIGINT', () => void leave('SIGINT'));
process.once('SIGTERM', () => void leave('SIGTERM'));
if (values['follow-stdin']) {
  // The parent process holds the other end: the agent leaves when the parent exits.
  process.stdin.once('end', () => void leave('stdin ended')).resume();
}

try {
  await agent.start();
} catch (error) {
  print('refused', { message: String(error) });
  process.exit(1);
}
