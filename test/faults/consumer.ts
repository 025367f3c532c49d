/**
 * An agent's consumer as a process of its own, so that a test can pause and kill it. It takes one delivery at a time,
 * records it in the journal, works on it and acks it.
 *
 *   node --import tsx consumer.ts <url> <agent id> <token> <journal> <milliseconds of work>
 *
 * A message with `poison` in its data aborts the process, as a native library does that crashes on its input.
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
    // The manager's own messages need no work.
    if (message.type === 'task') await new Promise((resolve) => setTimeout(resolve, Number(workMs)));
    const body = JSON.stringify({ leaseToken });
    const { status } = await fetch(`${url}/v1/deliveries/${deliveryId}/ack`, { method: 'POST', headers, body });
    journal.write({ what: 'acked', agentId, deliveryId, leaseToken, confirmed: status === 200 });
  }
}
