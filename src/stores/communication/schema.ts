import type { Generated, Kysely } from 'kysely';

interface InboxesTable {
  agent_id: string;
  next_sequence: Generated<number>;
}

interface MessagesTable {
  id: string;
  source: string;
  type: string;
  cluster_id: string | null;
  epoch: number | null;
  data: unknown;
  time: Generated<Date>;
}

interface DeliveriesTable {
  id: Generated<string>;
  message_id: string;
  recipient_id: string;
  sequence: number;
  state: 'waiting' | 'leased' | 'acked' | 'dead';
  attempts: Generated<number>;
  available_at: Generated<Date>;
  lease_token: string | null;
  lease_expires_at: Date | null;
  acked_at: Date | null;
}

interface RoutedClustersTable {
  cluster_id: string;
  state: 'open' | 'closed';
}

interface RoutingTablesTable {
  cluster_id: string;
  epoch: number;
  members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
  created_at: Generated<Date>;
}

export interface CommunicationSchema {
  inboxes: InboxesTable;
  messages: MessagesTable;
  deliveries: DeliveriesTable;
  routed_clusters: RoutedClustersTable;
  routing_tables: RoutingTablesTable;
}

export type CommunicationDb = Kysely<CommunicationSchema>;
