import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import type { ManagerError } from '../../src/contracts/errors.js';

const shipped = 'cluster-manager.yaml';
let folder: string;
let files = 0;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'cluster-manager-config-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a settings file with these databases and further lines; gives back its path. */
function settingsFile(databases: Record<string, string>, more = ''): string {
  files += 1;
  const path = join(folder, `${files}.yaml`);
  const head = 'cluster_manager:\n  id: m\n  name: M\n  capabilities: [scaling]\n  relationships: [orchestrator]\n';
  writeFileSync(path, `${head}  databases: ${JSON.stringify(databases)}\n${more}`);
  return path;
}
const names = { clusters: 'clusters_db', communication: 'communication_db', resources: 'resources_db' };

const problemsOf = (options: Parameters<typeof loadConfig>[0]) => {
  try {
    loadConfig(options);
  } catch (error) {
    expect((error as ManagerError).code).toBe('invalid_configuration');
    return (error as ManagerError).problems;
  }
  throw new Error('the configuration was accepted');
};

describe('loadConfig', () => {
  it('loadConfig returns each setting under a name with its unit', () => {
    expect(
      loadConfig({ path: shipped, env: { DATABASE_URL: 'postgres://u:p@h:5433/any?sslmode=disable' } }),
    ).toMatchObject({
      id: 'cluster-manager-1',
      name: 'ClusterManager',
      formationInterval: { everySeconds: 300 },
      scalingInterval: { everySeconds: 600 },
      clusterSize: { min: 3, max: 10 },
      communicationLatencyMs: 1000,
      resourceUsageRatio: 0.8,
      stabilityScore: 0.9,
      leaseSeconds: 30,
      heartbeatSeconds: 5,
      heartbeatWindowMs: 250,
      invitationTimeoutSeconds: 10,
      invitationTries: 3,
      bodyLimitBytes: 262_144,
      communication: {
        reach: 'fleet',
        leaseSeconds: 30,
        tries: 5,
        retryDelaysSeconds: [1, 5, 30, 120, 300],
        maxUnacked: 100,
        mailbox: 10_000,
        ttlSeconds: 3600,
        broadcastDeadlineSeconds: 30,
        subscriptionGraceSeconds: 120,
        retentionSeconds: 86_400,
        deadLetterRetentionSeconds: 1_209_600,
        maxStreams: 2000,
        wakeUps: true,
      },
      host: '127.0.0.1',
      port: 8420,
      databases: {
        clusters: 'postgres://u:p@h:5433/clusters_db?sslmode=disable',
        communication: 'postgres://u:p@h:5433/communication_db?sslmode=disable',
        resources: 'postgres://u:p@h:5433/resources_db?sslmode=disable',
      },
    });
  });

  it('loadConfig accepts a cron expression for an interval', () => {
    const path = settingsFile(names, '  formation_interval: "*/5 * * * *"\n');
    const env = { DATABASE_URL: 'postgres://h/any' };
    expect(loadConfig({ path, env }).formationInterval).toEqual({ cron: '*/5 * * * *' });
  });

  it("a database's own variable overrides the URL in the settings file, which overrides DATABASE_URL", () => {
    const path = settingsFile({ ...names, clusters: 'postgres://file/a', communication: 'postgres://file/b' });
    const env = { DATABASE_URL: 'postgres://base/x', CLUSTERS_DATABASE_URL: 'postgres://own:secret@own/c' };
    expect(loadConfig({ path, env }).databases).toEqual({
      clusters: 'postgres://own:secret@own/c',
      communication: 'postgres://file/b',
      resources: 'postgres://base/resources_db',
    });
  });

  it('for each database name without a server, loadConfig names the variables that can provide one', () => {
    const problems = problemsOf({ path: shipped, env: { RESOURCES_DATABASE_URL: 'postgres://h/r' } });
    expect(problems.map((p) => p.path)).toEqual([
      'cluster_manager.databases.clusters',
      'cluster_manager.databases.communication',
    ]);
    expect(problems[0]?.message).toMatch(/CLUSTERS_DATABASE_URL, or DATABASE_URL for all three, or run `npm start`/);
  });

  it('loadConfig rejects the same database for two purposes, also with different credentials', () => {
    const env = {
      CLUSTERS_DATABASE_URL: 'postgres://a:x@h/same',
      COMMUNICATION_DATABASE_URL: 'postgres://b:y@h:5432/same',
      RESOURCES_DATABASE_URL: 'postgres://h/other',
    };
    const problems = problemsOf({ path: shipped, env });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toBe('is the same database as clusters (h:5432/same); allowed: three separate ones');
  });

  it('loadConfig reports problems of the settings file and of the environment together', () => {
    const path = settingsFile(names, '  formation_intervall: 300\n');
    const problems = problemsOf({ path, env: { CLUSTER_MANAGER_PORT: 'abc' } });
    expect(problems.map((p) => p.path)).toEqual(['cluster_manager.formation_intervall', 'CLUSTER_MANAGER_PORT']);
  });

  it('loadConfig reads the file that CLUSTER_MANAGER_CONFIG names, and reports a missing file', () => {
    const env = { CLUSTER_MANAGER_CONFIG: settingsFile(names), DATABASE_URL: 'postgres://h/any' };
    expect(loadConfig({ env })).toMatchObject({ id: 'm', configPath: env.CLUSTER_MANAGER_CONFIG });
    const nowhere = join(folder, 'nowhere.yaml');
    expect(problemsOf({ path: nowhere, env })).toMatchObject([
      {
        path: nowhere,
        message: 'cannot be read: no such file; set CLUSTER_MANAGER_CONFIG to the settings file',
      },
    ]);
  });
});
