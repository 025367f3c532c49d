import { proxyActivities } from '@temporalio/workflow';

const { first, second, third, fourth } = proxyActivities<
  Record<'first' | 'second' | 'third' | 'fourth', () => Promise<void>>
>({
  startToCloseTimeout: '30s',
  heartbeatTimeout: '5s',
});

/** The limit: what four activities that do nothing cost on this server. */
export async function bareFour(): Promise<void> {
  await first();
  await second();
  await third();
  await fourth();
}
