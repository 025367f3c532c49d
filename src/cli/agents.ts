import type { Command } from 'commander';
import type { AgentView } from '../contracts/agents.js';
import { connect } from './connection.js';
import { ago, amounts, facts, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

export function define(command: Command): void {
  command
    .command('list')
    .description('agents by id')
    .option('--capability <name>', 'only those with this capability')
    .option('--state <state>', 'only alive, expired or left')
    .option(...limitOption)
    .action(list);
  command.command('show <id>').description('one agent').action(showOne);
  command.command('drain <id>').description('let an agent take no new clusters').action(drain);
  command.command('remove <id>').description('let an agent leave; its token ends').action(remove);
}

async function list(
  options: { readonly capability?: string; readonly state?: string; readonly limit: number },
  command: Command,
): Promise<void> {
  const { limit, ...filter } = options;
  const api = connect(command);
  const { items, more } = await readPages(limit, async (query) => {
    const { agents, nextCursor } = await api.agents({ ...filter, ...query });
    return { items: agents, nextCursor };
  });
  const rows = items.map((agent) => [
    agent.id,
    agent.liveness.state,
    agent.readiness.state,
    agent.readiness.load.toFixed(2),
    agent.host ?? '',
    agent.zone ?? '',
    `${agent.clusters.length}/${agent.maxClusters}`,
    capabilitiesOf(agent).join(' '),
  ]);
  const headings = ['AGENT', 'LIVENESS', 'READINESS', 'LOAD', 'HOST', 'ZONE', 'CLUSTERS', 'CAPABILITIES'];
  const lines = rows.length === 0 ? ['No agents.'] : table(headings, rows);
  show(command, { agents: items.map(documentOf), more }, [...lines, ...moreLine('agents', limit, more)]);
}

async function showOne(id: string, _options: object, command: Command): Promise<void> {
  tell(command, await connect(command).agent(id));
}

async function drain(id: string, _options: object, command: Command): Promise<void> {
  tell(command, await connect(command).drainAgent(id));
}

async function remove(id: string, _options: object, command: Command): Promise<void> {
  await connect(command).removeAgent(id);
  show(command, { agent: { id, liveness: 'left' } }, [`Agent ${id} has left.`]);
}

function tell(command: Command, agent: AgentView): void {
  const lines = facts([
    ['agent', agent.id],
    ['name', agent.name],
    ['liveness', `${agent.liveness.state}, lease until ${agent.liveness.leaseExpiresAt}`],
    ['readiness', `${agent.readiness.state}, load ${agent.readiness.load}, ${agent.readiness.inboxDepth} in its inbox`],
    ['reachability', agent.reachability.lastHandOverAt ? `mail taken ${ago(agent.reachability.lastHandOverAt)}` : null],
    ['capabilities', capabilitiesOf(agent).join(' ')],
    ['clusters', `${agent.clusters.join(' ') || 'none'} (at most ${agent.maxClusters})`],
    ['resources', amounts(agent.resources)],
    ['held', amounts(agent.held)],
    ['host', agent.host],
    ['zone', agent.zone],
    ['labels', amounts(agent.labels)],
    ['acceptance', agent.acceptance],
    ['incarnation', agent.incarnation],
    ['registered', agent.registeredAt],
    ['quarantined until', agent.quarantinedUntil],
  ]);
  show(command, { agent: documentOf(agent) }, lines);
}

const capabilitiesOf = ({ capabilities }: AgentView): string[] =>
  capabilities.map(({ name, version }) => (version === undefined ? name : `${name}@${version}`));

/** The command's own shape: an agent's three facts as words. */
const documentOf = (agent: AgentView) => ({
  id: agent.id,
  name: agent.name,
  liveness: agent.liveness.state,
  leaseExpiresAt: agent.liveness.leaseExpiresAt,
  readiness: agent.readiness.state,
  load: agent.readiness.load,
  inboxDepth: agent.readiness.inboxDepth,
  lastHandOverAt: agent.reachability.lastHandOverAt,
  capabilities: capabilitiesOf(agent),
  clusters: agent.clusters,
  maxClusters: agent.maxClusters,
  resources: agent.resources,
  held: agent.held,
  host: agent.host,
  zone: agent.zone,
  labels: agent.labels,
  acceptance: agent.acceptance,
  incarnation: agent.incarnation,
  registeredAt: agent.registeredAt,
});
