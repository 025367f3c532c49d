import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { createHttpClient, type HttpClient } from '../../src/client/http-client.js';
import { startStack, type Stack } from '../../src/dev-stack/stack.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';

export interface TestManager {
  readonly id: string;
  readonly url: string;
  readonly adminToken: string;
  readonly enrolmentToken: string;
  readonly api: HttpClient;
  readonly stack: Stack;
  readonly databases: TestDatabases;
  readonly stateDir: string;
  /** What a worker, a server or a stack on the same services needs. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export interface TestSettings {
  readonly leaseSeconds?: number;
  readonly heartbeatSeconds?: number;
  readonly invitationSeconds?: number;
}

/** A worker and a server as processes, on the run's Temporal and databases of their own: one manager for a test file. */
export async function startManager(settings: TestSettings = {}): Promise<TestManager> {
  const databases = await createTestDatabases({ maxConnections: 3 });
  const stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-e2e-'));
  // Its own id is its own task queue: managers of other files share the Temporal server.
  const id = `manager-${randomBytes(4).toString('hex')}`;
  const config = join(stateDir, 'cluster-manager.yaml');
  writeFileSync(config, settingsFile(id, settings));
  const temporal = inject('temporal');
  const env = {
    CLUSTER_MANAGER_CONFIG: config,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    CLUSTERS_DATABASE_URL: databases.urls.clusters,
    COMMUNICATION_DATABASE_URL: databases.urls.communication,
    RESOURCES_DATABASE_URL: databases.urls.resources,
  };
  const clear = async (): Promise<void> => {
    await databases.drop();
    rmSync(stateDir, { recursive: true, force: true });
  };
  let stack: Stack;
  try {
    stack = await startStack({ stateDir, ports: 'free', env });
  } catch (error) {
    await clear();
    throw error;
  }
  const url = stack.urls.api ?? '';
  const adminToken = stack.env['CLUSTER_MANAGER_ADMIN_TOKEN'] ?? '';
  return {
    id,
    url,
    adminToken,
    enrolmentToken: stack.env['CLUSTER_MANAGER_ENROLMENT_TOKEN'] ?? '',
    api: createHttpClient({ url, token: adminToken }),
    stack,
    databases,
    stateDir,
    env,
    stop: async () => {
      await stack.stop();
      await clear();
    },
  };
}

const settingsFile = (id: string, settings: TestSettings): string => `cluster_manager:
  id: "${id}"
  name: "ClusterManager"
  capabilities: ["cluster_management", "communication_management", "scaling"]
  relationships: ["orchestrator", "all_agents"]
  databases: { clusters: "clusters_db", communication: "communication_db", resources: "resources_db" }
  formation_interval: 300
  scaling_interval: 600
  alert_thresholds:
    { cluster_size: [3, 10], communication_latency: 1000, resource_usage: 0.8, stability_score: 0.9 }
  agents: { lease: ${settings.leaseSeconds ?? 30}, heartbeat_interval: ${settings.heartbeatSeconds ?? 5} }
  formation: { invitation_timeout: ${settings.invitationSeconds ?? 10} }
`;
