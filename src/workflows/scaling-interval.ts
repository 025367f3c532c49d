import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  continueAsNew,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { AssessedPage, DueChange } from '../activities/scaling/scaling-interval.js';
import { workflowIds } from '../contracts/ids.js';
import type { ScalingIntervalInput, ScalingIntervalReport } from '../contracts/workflow-inputs.js';
import { intervalJobs } from './activity-options.js';
import { detailsOf } from './interval-report.js';
import { moveMember, plannedMove, type Move } from './move-member.js';
import { scaleCluster } from './scaling.js';

const pageSize = 500;
/** Pages of one run; with more, the workflow continues as new. */
const pagesPerRun = 20;
/** The most scalings that one interval starts, urgent ones first. The others are assessed again at the next interval. */
const maxStarts = 100;
const maxLines = 200;

/**
 * The scaling interval: assesses all clusters page by page, starts scaleCluster where a change is due, and moves members
 * between clusters. With dryRun it reports what it would do.
 */
export async function scalingInterval(input: ScalingIntervalInput = {}): Promise<ScalingIntervalReport> {
  const { dryRun = false } = input;
  const report = input.carried ?? empty(dryRun);
  const balances = input.balances ?? (workflowInfo().lastResult as ScalingIntervalReport | undefined)?.balances ?? {};
  let due: readonly DueChange[] = [];
  let moves: readonly Move[] = [];
  let after: string | null = input.after ?? '';
  for (let page = 0; page < pagesPerRun && after !== null; page += 1) {
    const found: AssessedPage = await intervalJobs.assessPage({
      after,
      limit: pageSize,
      dryRun,
      balance: balances[after] ?? null,
    });
    report.assessed += found.assessed;
    report.balances[after] = found.balance;
    due = [...due, ...found.changes];
    moves = [...moves, ...found.moves];
    after = found.next;
    setCurrentDetails(`${report.assessed} clusters assessed, ${report.started.length + due.length} changes due`);
  }
  const room = Math.max(0, maxStarts - report.started.length);
  const chosen = due.toSorted((a, b) => Number(b.urgency === 'now') - Number(a.urgency === 'now')).slice(0, room);
  for (const change of chosen) {
    if (!dryRun && !(await start(change))) continue;
    report.started.push(change.clusterId);
    addLine(report, `${change.clusterId}: ${change.from} -> ${change.desired}  ${change.explanation}`);
  }
  report.postponed += due.length - chosen.length;
  const moved = moves.slice(0, Math.max(0, maxStarts - report.moved.length));
  const results = await Promise.all(moved.map(async (move) => (dryRun ? plannedMove(move) : moveMember(move))));
  for (const [index, { agentId, from, to }] of moved.entries()) {
    const { isDone = false, summary = '' } = results[index] ?? {};
    if (isDone) report.moved.push(agentId);
    addLine(report, `${agentId}: ${from} -> ${to}  ${summary}`);
  }
  if (after !== null) {
    return continueAsNew<typeof scalingInterval>({ dryRun, after, carried: report, balances });
  }
  setCurrentDetails(detailsOf(report.lines));
  return report;
}

const empty = (dryRun: boolean): ScalingIntervalReport => ({
  dryRun,
  lines: [],
  assessed: 0,
  started: [],
  moved: [],
  postponed: 0,
  balances: {},
});

const addLine = ({ lines }: ScalingIntervalReport, line: string): void => {
  if (lines.length < maxLines) lines.push(line);
};

/** Starts a scaling without waiting for it, since it may soak or wait for the orchestrator longer than an interval. */
async function start({ clusterId }: DueChange): Promise<boolean> {
  const operationId = `op_${uuid4()}`;
  try {
    await startChild(scaleCluster, {
      workflowId: workflowIds.scaling(operationId),
      args: [{ requestId: operationId, clusterId, reason: 'scaling interval' }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Scale cluster ${clusterId.slice(0, 150)}`,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}
