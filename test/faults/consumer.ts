/**
 * An agent's consumer as a process of its own, which can be stopped and can die: it takes one delivery at a time, notes
 * it, works on it and acks it.
 *
 *   node --import tsx consumer.ts <url> <agent id> <token> <journal> <milliseconds of work>
 *
 * A message whose data say so makes it abort, as a native library that meets what it cannot read.
 */
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { openJournal } from '../support/journal.js';

const [url = '', agentId = '', token = '', path = '', workMs = '0'] = process.argv.slice(2);
const journal = openJournal(path);
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

for (;;) {
  const response = await fetch(`${url}/v1/agents/${agentId}/inbox?max=1&waitSeconds=5`, { headers });
  const { deliveries } = (await response.json()) as { readonly deliveries: readonly DeliveryView[] };
  for (const { id: deliveryId, leaseToken, attempt, message } of deliveries) {
    const { id: messageId, source } = message;
    journal.write({ what: 'received', agentId, deliveryId, leaseToken, attempt, messageId, source });
    if ((message.data as { readonly poison?: boolean } | null)?.poison) process.abort();
    // What the manager tells it needs no work.
    if (message.type === 'task') await new Promise((resolve) => setTimeout(resolve, Number(workMs)));
    const body = JSON.stringify({ leaseToken });
    const { status } = await fetch(`${url}/v1/deliveries/${deliveryId}/ack`, { method: 'POST', headers, body });
    journal.write({ what: 'acked', agentId, deliveryId, leaseToken, confirmed: status === 200 });
  }
}
