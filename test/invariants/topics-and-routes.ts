import { inDatabase, type Invariant } from './invariant.js';

const communication = inDatabase('communication');

/** Invariants of topics, of routing tables and of the tables that recipients are looked up in. */
export const topicAndRouteInvariants: readonly Invariant[] = [
  communication(
    'always',
    'a retained message belongs to a topic with retention',
    `select r.topic, r.message_no, m.topic as sent_to, t.retention from retained_messages r
       left join messages m on m.no = r.message_no left join topics t on t.name = r.topic
     where m.topic is distinct from r.topic or coalesce(t.retention ->> 'keep', 'none') = 'none'`,
  ),
  communication(
    'always',
    'the routed members are those of the current routing table',
    `with open as (select * from routed_clusters where state = 'open' and epoch > 0),
     listed as (
       select c.cluster_id, member ->> 'agentId' as agent_id, coalesce(member -> 'roles', '[]') as roles
       from open c join routing_tables t using (cluster_id, epoch), jsonb_array_elements(t.members) member
     ), routed as (
       select r.cluster_id, r.agent_id, r.roles from routed_members r join open c using (cluster_id)
     )
     (select * from listed except select * from routed) union all (select * from routed except select * from listed)
     union all
     -- The current routing table exists, and all others are older.
     select c.cluster_id, null, to_jsonb(max(t.epoch)) from routed_clusters c left join routing_tables t using (cluster_id)
     group by c.cluster_id having coalesce(max(t.epoch), 0) <> c.epoch`,
  ),
  communication(
    'always',
    'the capability index lists exactly the capabilities of the agents that have not left',
    `with stored as (select no, unnest(capabilities) as capability from inboxes where agent_status <> 'left')
     (select capability, no from stored except select capability, inbox_no from capability_inboxes)
     union all (select capability, inbox_no from capability_inboxes except select capability, no from stored)
     union all select c.agent_id, c.inbox_no from capability_inboxes c join inboxes i on i.no = c.inbox_no
       where i.agent_id <> c.agent_id`,
  ),
];
