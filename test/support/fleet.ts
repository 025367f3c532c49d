import { registerAgent as schema, type RegisterAgent } from '../../src/contracts/agents.js';
import { registerAgent, type ClustersDb } from '../../src/stores/clusters/index.js';

/** Registers an agent in the store, with whatever the test says and defaults for the rest. */
export async function addAgent(
  db: ClustersDb,
  agent: { readonly id: string } & Partial<RegisterAgent>,
  { leaseSeconds = 600 } = {},
): Promise<void> {
  await registerAgent(db, schema.parse(agent), { leaseSeconds, enrolledBy: 'test' });
}

/** `count` agents `<prefix>-0 …`, each with the same properties. */
export async function addAgents(
  db: ClustersDb,
  count: number,
  properties: Partial<RegisterAgent> = {},
  prefix = 'agent',
): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  for (const id of ids) await addAgent(db, { ...properties, id });
  return ids;
}
