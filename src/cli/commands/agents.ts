import type { Command } from '@commander-js/extra-typings';
import type { AgentView } from '../../contracts/agents.js';
import { ago, pairsText } from '../format.js';
import { listCommand } from '../list-command.js';
import { printing, type Output } from '../print.js';
import { facts, table } from '../table.js';

function agents(command: Command): void {
  listCommand(command, {
    description: 'list agents, sorted by id',
    endpoint: 'listAgents',
    key: 'agents',
    lines: agentTable,
    document: agentDocument,
  })
    .option('--capability <name>', 'only agents with this capability')
    .option('--state <state>', 'only agents that are alive, expired or left');
  command
    .command('show <id>')
    .description('show an agent')
    .action(printing(async (api, id) => agentOutput(await api().getAgent({ params: { id } }))));
  command
    .command('drain <id>')
    .description('let an agent join no more clusters')
    .action(printing(async (api, id) => agentOutput(await api().drainAgent({ params: { id } }))));
  command
    .command('remove <id>')
    .description('remove an agent and revoke its token')
    .action(
      printing(async (api, id) => {
        await api().removeAgent({ params: { id } });
        return { document: { agent: { id, liveness: 'left' } }, lines: [`Agent ${id} is removed.`] };
      }),
    );
}

export const commands = { agents };

const agentTable = (listed: readonly AgentView[]): string[] =>
  table(listed, {
    AGENT: (agent) => agent.id,
    LIVENESS: (agent) => agent.liveness.state,
    READINESS: (agent) => agent.readiness.state,
    LOAD: (agent) => agent.readiness.load.toFixed(2),
    HOST: (agent) => agent.host,
    ZONE: (agent) => agent.zone,
    CLUSTERS: (agent) => `${agent.clusters.length}/${agent.maxClusters}`,
    CAPABILITIES: (agent) => capabilityNames(agent).join(' '),
  });

const agentOutput = ({ agent }: { readonly agent: AgentView }): Output => ({
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
const agentDocument = ({ liveness, readiness, reachability, ...agent }: AgentView): object => ({
  ...agent,
  liveness: liveness.state,
  leaseExpiresAt: liveness.leaseExpiresAt,
  readiness: readiness.state,
  load: readiness.load,
  inboxDepth: readiness.inboxDepth,
  lastHandOverAt: reachability.lastHandOverAt,
  capabilities: capabilityNames(agent),
});

const capabilityNames = ({ capabilities }: Pick<AgentView, 'capabilities'>): string[] =>
  capabilities.map(({ name, version }) => (version === undefined ? name : `${name}@${version}`));
