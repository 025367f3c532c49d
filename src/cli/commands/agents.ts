import type { Command } from 'commander';
import type { AgentView } from '../../contracts/agents.js';
import { apiAction } from '../api-action.js';
import { ago, pairsText } from '../format.js';
import { listCommand, type PageQuery } from '../list-command.js';
import type { Output } from '../print.js';
import { facts, table } from '../table.js';

export function define(command: Command): void {
  addListCommand(command)
    .option('--capability <name>', 'only agents with this capability')
    .option('--state <state>', 'only agents that are alive, expired or left');
  command
    .command('show <id>')
    .description('show an agent')
    .action(apiAction(async (api, id: string) => agentOutput(await api.agent(id))));
  command
    .command('drain <id>')
    .description('let an agent join no more clusters')
    .action(apiAction(async (api, id: string) => agentOutput(await api.drainAgent(id))));
  command.command('remove <id>').description('remove an agent and revoke its token').action(remove);
}

const addListCommand = listCommand({
  description: 'list agents, sorted by id',
  key: 'agents',
  read: (api, query: PageQuery & { readonly capability?: string; readonly state?: string }) => api.agents(query),
  items: ({ agents }) => agents,
  lines: (agents) =>
    table(agents, {
      AGENT: (agent) => agent.id,
      LIVENESS: (agent) => agent.liveness.state,
      READINESS: (agent) => agent.readiness.state,
      LOAD: (agent) => agent.readiness.load.toFixed(2),
      HOST: (agent) => agent.host,
      ZONE: (agent) => agent.zone,
      CLUSTERS: (agent) => `${agent.clusters.length}/${agent.maxClusters}`,
      CAPABILITIES: (agent) => capabilityNames(agent).join(' '),
    }),
  document: agentDocument,
});

const remove = apiAction(async (api, id: string) => {
  await api.removeAgent(id);
  return { document: { agent: { id, liveness: 'left' } }, lines: [`Agent ${id} is removed.`] };
});

const agentOutput = (agent: AgentView): Output => ({
  document: { agent: agentDocument(agent) },
  lines: facts({
    agent: agent.id,
    name: agent.name,
    liveness: `${agent.liveness.state}, lease until ${agent.liveness.leaseExpiresAt}`,
    readiness: `${agent.readiness.state}, load ${agent.readiness.load}, ${agent.readiness.inboxDepth} in its inbox`,
    reachability: agent.reachability.lastHandOverAt && `last delivery ${ago(agent.reachability.lastHandOverAt)}`,
    capabilities: capabilityNames(agent).join(' '),
    clusters: `${agent.clusters.join(' ') || 'none'} (at most ${agent.maxClusters})`,
    resources: pairsText(agent.resources),
    held: pairsText(agent.held),
    host: agent.host,
    zone: agent.zone,
    labels: pairsText(agent.labels),
    acceptance: agent.acceptance,
    incarnation: agent.incarnation,
    registered: agent.registeredAt,
    'quarantined until': agent.quarantinedUntil,
  }),
});

/** An agent with its liveness, readiness and capabilities as words. */
function agentDocument({ liveness, readiness, reachability, ...agent }: AgentView): object {
  return {
    ...agent,
    liveness: liveness.state,
    leaseExpiresAt: liveness.leaseExpiresAt,
    readiness: readiness.state,
    load: readiness.load,
    inboxDepth: readiness.inboxDepth,
    lastHandOverAt: reachability.lastHandOverAt,
    capabilities: capabilityNames(agent),
  };
}

const capabilityNames = ({ capabilities }: Pick<AgentView, 'capabilities'>): string[] =>
  capabilities.map(({ name, version }) => (version === undefined ? name : `${name}@${version}`));
