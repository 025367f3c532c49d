import type { Command } from 'commander';
import { connect } from './connection.js';
import { duration, facts, show } from './output.js';

export function define(command: Command): void {
  command.action(status);
}

async function status(_options: object, command: Command): Promise<void> {
  const api = connect(command);
  const { manager, agents, clusters, operations, formationInterval, thresholds } = await api.status();
  const document = { url: api.url, manager, agents, clusters, operations, formationInterval, thresholds };
  show(
    command,
    document,
    facts([
      ['manager', `${manager.name} (${manager.id}), version ${manager.version}`],
      ['url', api.url],
      ['up', duration(manager.uptimeSeconds * 1000)],
      ['functions', manager.capabilities.join(', ')],
      ['agents', counted(agents)],
      ['clusters', counted(clusters)],
      ['operations', counted(operations)],
      [
        'formation',
        'cron' in formationInterval ? `by "${formationInterval.cron}"` : `every ${formationInterval.everySeconds} s`,
      ],
      ['cluster size', `${thresholds.clusterSize.min} to ${thresholds.clusterSize.max}`],
    ]),
  );
}

const counted = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || 'none';
