import type { Generated, Kysely } from 'kysely';

interface AccountsTable {
  cluster_id: string;
  state: 'open' | 'closed';
  weight: number;
  per_member: Readonly<Record<string, number>>;
  opened_at: Generated<Date>;
  closed_at: Date | null;
}

export interface ResourcesSchema {
  accounts: AccountsTable;
}

export type ResourcesDb = Kysely<ResourcesSchema>;
