import type { LedgerEntry } from '../../stores/resources/index.js';
import { fleetStock } from '../../stores/clusters/index.js';
import {
  budgetDifferences,
  ledgerDifferences,
  ledgerSums,
  listLedger,
  listPools,
} from '../../stores/resources/index.js';
import { nextCursor, numberIn, positionOf } from '../cursor.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import { poolViewOf } from './pools.js';
import * as shapes from '../shapes.js';

const show = operationRoute({
  operationId: 'getResources',
  method: 'get',
  path: '/v1/resources',
  summary: 'What pools and agents have, what is used of it, and whether the ledger agrees',
  tags: ['resources'],
  responses: { 200: json(shapes.resourcesAnswer, 'The resources') },
});

const ledger = operationRoute({
  operationId: 'listLedger',
  method: 'get',
  path: '/v1/ledger',
  summary: 'List what was taken from pools and given back, newest first',
  tags: ['resources'],
  request: { query: shapes.ledgerQuery },
  responses: { 200: json(shapes.ledgerPage, 'A page of entries') },
});

const poolsAtMost = 200;

export function resourceRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(show, async (c) => {
    const [pools, fleet, sums, inPools, inBudgets] = await Promise.all([
      listPools(deps.resources, { limit: poolsAtMost }),
      fleetStock(deps.clusters),
      ledgerSums(deps.resources),
      ledgerDifferences(deps.resources),
      budgetDifferences(deps.resources),
    ]);
    const answer = {
      pools: pools.map(poolViewOf),
      fleet: { capacity: { ...fleet.capacity }, held: { ...fleet.held } },
      ledger: { sums, differences: inPools.length + inBudgets.length },
    };
    return c.json(answer, 200);
  });

  api.openapi(ledger, async (c) => {
    const { cursor, limit, pool, clusterId } = c.req.valid('query');
    const before = numberIn(positionOf(cursor, 1)?.[0]);
    const rows = await listLedger(deps.resources, {
      ...(pool === undefined ? {} : { pool }),
      ...(clusterId === undefined ? {} : { clusterId }),
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ no }) => [String(no)]);
    return c.json({ entries: page.map(entryOf), nextCursor: next }, 200);
  });
}

const entryOf = ({ at, allocationId, ...entry }: LedgerEntry) => ({
  ...entry,
  grantId: allocationId,
  at: at.toISOString(),
});
