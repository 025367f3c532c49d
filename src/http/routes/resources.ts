import { ManagerError } from '../../contracts/errors.js';
import { ledgerEntry, poolView, type QuotasView } from '../../contracts/resources.js';
import { viewOf } from '../../contracts/view.js';
import { fleetStock } from '../../stores/clusters/index.js';
import {
  budgetDifferences,
  findAccount,
  findPool,
  ledgerDifferences,
  ledgerSums,
  listLedger,
  listPools,
  putPool,
  quotasOf,
  removePool,
  setQuotas,
  setWeight,
  type LedgerEntry,
  type PoolRow,
  type ResourcesDb,
} from '../../stores/resources/index.js';
import { pageByNumber, pageByText } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { notFound, requireMember } from '../visibility.js';

const maxPools = 200;

export const resourceHandlers = ({ clusters, resources }: ResourceDeps) =>
  ({
    getResources: async () => {
      const [pools, { capacity, held }, sums, inPools, inBudgets] = await Promise.all([
        listPools(resources, { limit: maxPools }),
        fleetStock(clusters),
        ledgerSums(resources),
        ledgerDifferences(resources),
        budgetDifferences(resources),
      ]);
      return {
        pools: pools.map(poolOf),
        fleet: { capacity, held },
        ledger: { sums, differences: inPools.length + inBudgets.length },
      };
    },

    listLedger: async ({ query }) => {
      const { rows, nextCursor } = await pageByNumber(query, 'no', (page) => listLedger(resources, page));
      return { entries: rows.map(entryOf), nextCursor };
    },

    listPools: async ({ query }) => {
      const { rows, nextCursor } = await pageByText(query, 'name', (page) => listPools(resources, page));
      return { pools: rows.map(poolOf), nextCursor };
    },

    getPool: async ({ params: { name } }) => {
      const pool = await findPool(resources, name);
      if (!pool) throw notFound(`Pool "${name}"`);
      return { pool: poolOf(pool) };
    },

    putPool: async ({ params: { name }, body }) => ({ pool: poolOf(await putPool(resources, { name, ...body })) }),

    deletePool: async ({ params: { name } }) => {
      await removePool(resources, name);
      return { name, deleted: true };
    },

    getQuotas: async ({ params: { clusterId }, principal }) => {
      await requireMember({ clusters }, principal, clusterId, accountNotFound(clusterId));
      return { quotas: await readQuotas(resources, clusterId) };
    },

    putQuotas: async ({ params: { clusterId }, body: { quotas, weight } }) => {
      const { state } = await readQuotas(resources, clusterId);
      if (state === 'closed') {
        throw new ManagerError('state_conflict', `The account of cluster "${clusterId}" is closed: it was dissolved`);
      }
      // Quotas first: they are refused below what the cluster holds, and then the weight must not have changed.
      if (quotas !== undefined) await setQuotas(resources, clusterId, quotas);
      if (weight !== undefined) await setWeight(resources, clusterId, weight);
      return { quotas: await readQuotas(resources, clusterId) };
    },
  }) satisfies Partial<Handlers>;

const poolOf = (pool: PoolRow) => viewOf(poolView, pool);

/* On the wire an allocation is called `grant`. */
const entryOf = (entry: LedgerEntry) => viewOf(ledgerEntry, { ...entry, grantId: entry.allocationId });

async function readQuotas(resources: ResourcesDb, clusterId: string): Promise<QuotasView> {
  const account = await findAccount(resources, clusterId);
  if (!account) throw accountNotFound(clusterId);
  return { clusterId, ...account, resources: await quotasOf(resources, clusterId) };
}

const accountNotFound = (clusterId: string): ManagerError =>
  new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form the cluster first`);
