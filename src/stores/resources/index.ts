import type { DatabaseSchema } from '../migrate.js';

export * from './accounts.js';
export { budgetDifferences, budgetsOf, findBudget, putBudget } from './budgets.js';
export * from './decisions.js';
export * from './allocations.js';
export * from './pools.js';
export * from './capacity-requests.js';
export * from './holds.js';
export * from './scaling-memory.js';
export type { ResourcesDb, ResourcesSchema } from './schema.js';
export * from './retention.js';
export * from './usage.js';

export const resourcesDatabase: DatabaseSchema = {
  name: 'resources_db',
  folder: new URL('.', import.meta.url),
  adopts: '0004-open-decisions',
};
