import { registerAgent as schema, type RegisterAgent } from '../../src/contracts/agents.js';
import { registerAgent, type ClustersDb } from '../../src/stores/clusters/index.js';

/** Registers an agent in the store, with defaults for the properties that the test does not give. */
export async function addAgent(
  db: ClustersDb,
  agent: { readonly id: string } & Partial<RegisterAgent>,
  { leaseSeconds = 600 } = {},
): Promise<void> {
  await registerAgent(db, schema.parse(agent), { leaseSeconds, enrolledBy: 'test' });
}

/** Registers `count` agents, `<prefix>-0` and so on, with the same properties. @returns their ids. */
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
