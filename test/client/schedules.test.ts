import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scheduleIdOf } from '../../src/client/schedules.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let stores: TestDatabases;
let worker: TestWorker;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores);
});
afterAll(async () => {
  await handle()
    .delete()
    .catch(() => undefined);
  await worker?.stop();
  await stores?.drop();
});

const handle = () => worker.client.schedule.getHandle(scheduleIdOf(worker.taskQueue, 'formation'));

describe("the formation interval's Schedule", () => {
  it('is created once, skips overlapping runs and catches up one minute at most', async () => {
    await Promise.all([
      worker.manager.schedules.ensure('formation', { everySeconds: 300 }),
      worker.manager.schedules.ensure('formation', { everySeconds: 300 }),
    ]);
    const { spec, policies, action } = await handle().describe();
    expect(spec.intervals).toMatchObject([{ every: 300_000 }]);
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 60_000, pauseOnFailure: false });
    expect(action).toMatchObject({ workflowType: 'formationInterval', taskQueue: worker.taskQueue });
  });

  it('is updated in place to a changed interval and keeps the pause of an operator', async () => {
    await worker.manager.schedules.pause('formation', 'maintenance');
    await worker.manager.schedules.ensure('formation', { cron: '*/7 * * * *' });
    const changed = await waitFor('the new times', async () => {
      const description = await handle().describe();
      return (description.spec.calendars?.length ?? 0) > 0 && description;
    });
    expect(changed.state).toMatchObject({ paused: true, note: 'maintenance' });
    await worker.manager.schedules.unpause('formation', 'over');
    expect((await handle().describe()).state.paused).toBe(false);
  });

  it('runs the job when it is triggered and for backfilled times', async () => {
    const runs = async () => (await handle().describe()).info.recentActions.length;
    await worker.manager.schedules.trigger('formation');
    await waitFor('the triggered run', async () => (await runs()) >= 1);
    const end = new Date();
    await handle().backfill({ start: new Date(end.getTime() - 15 * 60_000), end, overlap: 'ALLOW_ALL' });
    await waitFor('the backfilled runs', async () => (await runs()) >= 3);
    const { recentActions } = (await handle().describe()).info;
    for (const { action } of recentActions) {
      const report = await worker.manager.result(action.workflow.workflowId);
      expect(report).toMatchObject({ dryRun: false, served: [], repaired: [] });
    }
  });
});
