import { ManagerError } from '../../contracts/errors.js';
import type { PoolView } from '../../contracts/resources.js';
import { findPool, listPools, putPool, removePool, type PoolRow } from '../../stores/resources/index.js';
import { defined, pageByText } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';

export const poolHandlers = ({ resources }: ResourceDeps) =>
  ({
    listPools: async ({ query }) => {
      const { rows, nextCursor } = await pageByText(
        query,
        (after, limit) => listPools(resources, { ...defined({ after }), limit }),
        ({ name }) => name,
      );
      return { pools: rows.map(poolViewOf), nextCursor };
    },

    getPool: async ({ params: { name } }) => {
      const pool = await findPool(resources, name);
      if (!pool) throw new ManagerError('not_found', `Pool "${name}" does not exist`);
      return { pool: poolViewOf(pool) };
    },

    putPool: async ({ params: { name }, body }) => ({ pool: poolViewOf(await putPool(resources, { name, ...body })) }),

    deletePool: async ({ params: { name } }) => {
      await removePool(resources, name);
      return { name, deleted: true };
    },
  }) satisfies Partial<Handlers>;

export const poolViewOf = ({ name, labels, resources, createdAt }: PoolRow): PoolView => ({
  name,
  labels: { ...labels },
  resources: { ...resources },
  createdAt: createdAt.toISOString(),
});
