import type { Generated, Kysely } from 'kysely';

interface AccountsTable {
  clusterId: string;
  state: 'open' | 'closed';
  weight: number;
  perMember: Readonly<Record<string, number>>;
  openedAt: Generated<Date>;
  closedAt: Date | null;
}

export interface ResourcesSchema {
  accounts: AccountsTable;
}

export type ResourcesDb = Kysely<ResourcesSchema>;
