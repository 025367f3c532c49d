import { proxyActivities } from '@temporalio/workflow';

const { first, second, third, fourth } = proxyActivities<
  Record<'first' | 'second' | 'third' | 'fourth', () => Promise<void>>
>({
  startToCloseTimeout: '30s',
  heartbeatTimeout: '5s',
});

/** The limit: the cost of four no-op activities on this Temporal server. */
export async function bareFour(): Promise<void> {
  await first();
  await second();
  await third();
  await fourth();
}
