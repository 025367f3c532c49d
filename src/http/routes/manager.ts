import { withinLimit } from '../../operations/within-limit.js';
import { countsByState, eventsAfter } from '../../stores/clusters/index.js';
import type { ManagerDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { productVersion } from '../version.js';

const intervalLimitMs = 60_000;
const noInterval =
  'The interval did not finish within a minute; check that Temporal and a worker run (/readyz, cluster-manager doctor)';

export const managerHandlers = (deps: ManagerDeps) =>
  ({
    runFormationInterval: ({ body: { dryRun } }) =>
      withinLimit(deps.client.runFormationInterval({ dryRun }), intervalLimitMs, noInterval),

    runScalingInterval: async ({ body: { dryRun } }) => {
      const report = await withinLimit(deps.client.runScalingInterval({ dryRun }), intervalLimitMs, noInterval);
      const { balances: _balances, ...shown } = report;
      return shown;
    },

    applyConfig: async () => {
      const needRestart = await deps.applyConfig();
      return { configPath: deps.config().configPath, needRestart };
    },

    getStatus: async () => ({ ...configuredStatus(deps), ...(await countsByState(deps.clusters)) }),

    listEvents: async ({ query: { after, limit } }) => {
      const rows = await eventsAfter(deps.clusters, after, limit);
      const events = rows.map((row) => ({ ...row, time: row.time.toISOString() }));
      return { events, next: events.at(-1)?.seq ?? after };
    },
  }) satisfies Partial<Handlers>;

function configuredStatus({ config: read, server }: ManagerDeps) {
  const config = read();
  return {
    manager: {
      id: config.id,
      name: config.name,
      serverId: server.id,
      version: productVersion,
      nodeVersion: process.versions.node,
      startedAt: server.startedAt.toISOString(),
      uptimeSeconds: Math.floor((Date.now() - server.startedAt.getTime()) / 1000),
      capabilities: config.capabilities,
      relationships: config.relationships,
    },
    formationInterval: config.formationInterval,
    scalingInterval: config.scalingInterval,
    thresholds: {
      clusterSize: config.clusterSize,
      communicationLatencyMs: config.communicationLatencyMs,
      resourceUsageRatio: config.resourceUsageRatio,
      stabilityScore: config.stabilityScore,
    },
  };
}
