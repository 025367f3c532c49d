import type { Command } from 'commander';
import { apiAction } from '../api-action.js';
import { duration } from '../format.js';
import { facts } from '../table.js';

export function define(command: Command): void {
  command.action(show);
}

const show = apiAction(async (api) => {
  const status = await api.status();
  const { manager, formationInterval, thresholds } = status;
  const lines = facts({
    manager: `${manager.name} (${manager.id}), version ${manager.version}`,
    url: api.url,
    up: duration(manager.uptimeSeconds * 1000),
    functions: manager.capabilities.join(', '),
    agents: countsText(status.agents),
    clusters: countsText(status.clusters),
    operations: countsText(status.operations),
    formation:
      'cron' in formationInterval ? `by "${formationInterval.cron}"` : `every ${formationInterval.everySeconds} s`,
    'cluster size': `${thresholds.clusterSize.min} to ${thresholds.clusterSize.max}`,
  });
  return { document: { url: api.url, ...status }, lines };
});

const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ') || 'none';
