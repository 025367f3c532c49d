import PgBoss from 'pg-boss';
import { batchSize, body, pause, recipients, type Queue } from './queue.js';

const nameOf = (recipient: number): string => `recipient-${recipient}`;

/** The peer: pg-boss as in its documentation, one queue for each recipient, fetched and completed in batches. */
export async function openPgBossQueue(url: string): Promise<{ readonly queue: Queue; close(): Promise<void> }> {
  const boss = new PgBoss({ connectionString: url, max: 16 + recipients, supervise: false, schedule: false });
  boss.on('error', () => undefined);
  await boss.start();
  for (let recipient = 0; recipient < recipients; recipient += 1) await boss.createQueue(nameOf(recipient));
  const queue: Queue = {
    sendBatch: async (count) => {
      await boss.insert(
        Array.from({ length: count }, (_, index) => ({ name: nameOf(index % recipients), data: body })),
      );
    },
    sendOne: async (recipient) => void (await boss.send(nameOf(recipient), body)),
    leaseAndAck: async (recipient) => {
      await pause(2);
      const jobs = await boss.fetch(nameOf(recipient), { batchSize });
      if (jobs.length === 0) return 0;
      await boss.complete(
        nameOf(recipient),
        jobs.map(({ id }) => id),
      );
      return jobs.length;
    },
  };
  return { queue, close: () => boss.stop({ graceful: false, wait: true }) };
}
