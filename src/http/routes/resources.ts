import { fleetStock } from '../../stores/clusters/index.js';
import {
  budgetDifferences,
  ledgerDifferences,
  ledgerSums,
  listLedger,
  listPools,
  type LedgerEntry,
} from '../../stores/resources/index.js';
import { defined, pageByNumber } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { poolViewOf } from './pools.js';

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
        pools: pools.map(poolViewOf),
        fleet: { capacity, held },
        ledger: { sums, differences: inPools.length + inBudgets.length },
      };
    },

    listLedger: async ({ query: { cursor, limit, ...filter } }) => {
      const { rows, nextCursor } = await pageByNumber(
        { cursor, limit },
        (before, atMost) => listLedger(resources, { ...defined({ before, ...filter }), limit: atMost }),
        ({ no }) => no,
      );
      return { entries: rows.map(entryViewOf), nextCursor };
    },
  }) satisfies Partial<Handlers>;

/* On the wire an allocation is called `grant`. */
const entryViewOf = ({ allocationId, at, ...entry }: LedgerEntry) => ({
  ...entry,
  grantId: allocationId,
  at: at.toISOString(),
});
