import { ManagerError } from '../../contracts/errors.js';
import type { QuotasView } from '../../contracts/resources.js';
import { findAccount, quotasOf, setQuotas, setWeight, type ResourcesDb } from '../../stores/resources/index.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { requireMember } from '../visibility.js';

export const quotaHandlers = ({ clusters, resources }: ResourceDeps) =>
  ({
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

async function readQuotas(resources: ResourcesDb, clusterId: string): Promise<QuotasView> {
  const account = await findAccount(resources, clusterId);
  if (!account) throw accountNotFound(clusterId);
  return { clusterId, ...account, resources: await quotasOf(resources, clusterId) };
}

const accountNotFound = (clusterId: string): ManagerError =>
  new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form the cluster first`);
