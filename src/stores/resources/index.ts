export * from './accounts.js';
export * from './grants.js';
export * from './ledger.js';
export { resourcesMigrations } from './migrations/index.js';
export * from './pools.js';
export type { ResourcesDb, ResourcesSchema } from './schema.js';
export * from './decisions.js';
export * from './scaling-memory.js';
export * from './usage.js';
