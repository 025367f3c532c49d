import type { ClusterManagerClient } from './client/index.js';
import type { ManagerConfig } from './config/index.js';
import { defined } from './contracts/defined.js';
import type { Logger } from './telemetry/index.js';

/** Settings that are bound to connections and ports: they stay as they were when the server started. */
const restartOnly = ['id', 'databases', 'temporal', 'host', 'port', 'tls', 'behindProxy'] as const;

/**
 * The settings in force, and how to replace them. The intervals of the Schedules in Temporal follow the settings, now
 * and at each reload.
 * @returns `reload` returns the settings that changed but need a restart. It throws ManagerError `invalid_configuration`.
 */
export async function reloadableConfig(
  initial: ManagerConfig,
  {
    client,
    logger,
    readConfig,
  }: { readonly client: ClusterManagerClient; readonly logger: Logger; readonly readConfig: () => ManagerConfig },
): Promise<{ readonly config: () => ManagerConfig; readonly reload: () => Promise<readonly string[]> }> {
  let config = initial;
  await ensureSchedules(client, config);
  return {
    config: () => config,
    reload: async () => {
      const next = readConfig();
      const needRestart = restartOnly.filter((key) => JSON.stringify(config[key]) !== JSON.stringify(next[key]));
      const kept = defined(Object.fromEntries(restartOnly.map((key) => [key, config[key]])));
      config = { ...next, ...kept };
      await ensureSchedules(client, config);
      logger.info({ path: config.configPath, needRestart }, 'configuration reloaded');
      return needRestart;
    },
  };
}

async function ensureSchedules({ schedules }: ClusterManagerClient, config: ManagerConfig): Promise<void> {
  await schedules.ensure('formation', config.formationInterval);
  await schedules.ensure('scaling', config.scalingInterval);
}
