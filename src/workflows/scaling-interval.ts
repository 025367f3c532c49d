import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  continueAsNew,
  executeChild,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { AssessedPage, DueChange } from '../activities/scaling/scaling-interval.js';
import { workflowIds } from '../contracts/ids.js';
import type { ScalingIntervalInput, ScalingIntervalReport } from '../contracts/workflow-inputs.js';
import { scalingJobs } from './activity-options.js';
import { scaleCluster } from './scaling.js';

const pageSize = 500;
/** Pages of one run: with more, the history goes on in a new one. */
const pagesARun = 20;
/** Runs of scaleCluster that one interval starts; the most urgent first, the others are due again at the next. */
const startsAtMost = 100;
const linesKept = 200;

type Move = AssessedPage['moves'][number];

/**
 * The scaling interval's job: assesses all clusters by pages, starts scaleCluster only where something changes, and moves
 * members between clusters. With dryRun it says what it would do.
 */
export async function scalingInterval(input: ScalingIntervalInput = {}): Promise<ScalingIntervalReport> {
  const { dryRun = false } = input;
  const report = input.carried ?? empty(dryRun);
  const balances = input.balances ?? (workflowInfo().lastResult as ScalingIntervalReport | undefined)?.balances ?? {};
  let due: readonly DueChange[] = [];
  let moves: readonly Move[] = [];
  let after: string | null = input.after ?? '';
  for (let page = 0; page < pagesARun && after !== null; page += 1) {
    const found: AssessedPage = await scalingJobs.assessPage({
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
    setCurrentDetails(`${report.assessed} clusters assessed, ${report.started.length + due.length} are to change`);
  }
  const room = Math.max(0, startsAtMost - report.started.length);
  const chosen = due.toSorted((a, b) => Number(b.urgency === 'now') - Number(a.urgency === 'now')).slice(0, room);
  for (const change of chosen) {
    if (!dryRun && !(await start(change))) continue;
    report.started.push(change.clusterId);
    note(report, `${change.clusterId}: ${change.from} -> ${change.desired}  ${change.explanation}`);
  }
  report.postponed += due.length - chosen.length;
  const moved = moves.slice(0, Math.max(0, startsAtMost - report.moved.length));
  const ends = await Promise.all(moved.map(async (one) => ({ one, end: dryRun ? asPlanned(one) : await move(one) })));
  for (const { one, end } of ends) {
    if (end.isDone) report.moved.push(one.agentId);
    note(report, `${one.agentId}: ${one.from} -> ${one.to}  ${end.told}`);
  }
  if (after !== null) {
    return continueAsNew<typeof scalingInterval>({ dryRun, after, carried: report, balances });
  }
  setCurrentDetails(report.lines.length > 0 ? report.lines.map((line) => `- ${line}`).join('\n') : 'Nothing to do');
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

const note = ({ lines }: ScalingIntervalReport, line: string): void => {
  if (lines.length < linesKept) lines.push(line);
};

/** Starts a run and leaves it to itself: it may soak, or wait for the orchestrator, longer than an interval. */
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

/** What became of a move. */
interface MoveEnd {
  readonly isDone: boolean;
  readonly told: string;
}

const asPlanned = ({ giver, taker }: Move): MoveEnd => ({
  isDone: true,
  told: `the higher usage falls from ${Math.max(giver.before, taker.before)} to ${Math.max(giver.after, taker.after)}`,
});

/** One member out of a cluster, then one more into another. A move that stops on its way says where, and why. */
async function move(one: Move): Promise<MoveEnd> {
  const { from, to, giverSize, takerSize, agentId } = one;
  const step = async (
    clusterId: string,
    desired: number,
    asked: object,
  ): Promise<{ readonly isDone: boolean; readonly joined: readonly string[]; readonly why: string }> => {
    const operationId = `op_${uuid4()}`;
    try {
      const { outcome, joined, explanation, verdict } = await executeChild(scaleCluster, {
        workflowId: workflowIds.scaling(operationId),
        args: [{ requestId: operationId, clusterId, desired, soakSeconds: 0, grantSeconds: 0, ...asked }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Rebalance: ${agentId.slice(0, 100)} from ${from.slice(0, 100)}`,
      });
      return { isDone: outcome === 'scaled', joined, why: `${explanation} ${verdict}` };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return { isDone: false, joined: [], why: cause instanceof Error ? cause.message : String(cause) };
    }
  };
  const reason = `rebalancing: ${agentId} from ${from} to ${to}`;
  const given = await step(from, giverSize - 1, { reason, release: [agentId] });
  if (!given.isDone) return { isDone: false, told: `went no further than ${from}: ${given.why}` };
  const taken = await step(to, takerSize + 1, { reason });
  if (taken.joined.includes(agentId)) return asPlanned(one);
  const others = taken.joined.join(', ');
  return {
    isDone: false,
    told: taken.isDone
      ? `left ${from}; ${others} joined ${to} in its place`
      : `left ${from} and did not get into ${to}: ${taken.why}`,
  };
}
