import { setMaxListeners } from 'node:events';
import { heartbeat, type Heartbeat, type Readiness } from '../contracts/agents.js';
import { ManagerError } from '../contracts/errors.js';
import { problemsOf } from '../contracts/formation.js';
import { createAgentApi } from './agent-api.js';
import { asError, type AgentContext } from './context.js';
import { createEmitter } from './emitter.js';
import { keepRegistered } from './keeper.js';
import { takeMail } from './mail.js';
import { createMemberships, type KnownCluster } from './memberships.js';
import { createMessaging, type Messaging } from './messaging.js';
import {
  settingsOf,
  silentLogger,
  type AgentEvents,
  type AgentOptions,
  type AgentStatus,
  type InvitationHandler,
  type MessageHandler,
} from './options.js';
import { createNudge } from './pause.js';
import { createPendingRequests } from './pending-requests.js';
import { createServerClock } from './server-clock.js';
import { createStanding } from './standing.js';

/** How long the last words of an agent that stops may take once its handlers have ended. */
const graceMs = 3000;

export interface Agent extends Messaging {
  readonly id: string;
  /**
   * Registers and begins to beat and to take mail. Waits for a manager that does not answer yet.
   * @throws ManagerError the manager's refusal: `unauthenticated`, `forbidden`, `invalid_request`, `state_conflict` when
   * another enrolment token owns this id.
   */
  start(): Promise<void>;
  /** Says who handles messages, and answers them with what it returns; the last one said counts. Set it before `start()`. */
  onMessage(handler: MessageHandler): void;
  /** Says who answers invitations, which agents with `acceptance: 'ask'` get. Without one they decline. */
  onInvitation(handler: InvitationHandler): void;
  /** @returns a function that takes the listener off again. */
  on<Name extends keyof AgentEvents>(name: Name, listener: (event: AgentEvents[Name]) => void): () => void;
  /** Told at once, not with the next beat. */
  setReadiness(readiness: Readiness): void;
  /**
   * Figures for the beats to come: `usage` by resource, `load` 0 to 1, `inboxDepth` in messages.
   * @throws ManagerError `invalid_request`; one bad figure would have the beats refused and cost the lease.
   */
  report(figures: Omit<Heartbeat, 'readiness'>): void;
  /** Clusters this agent is a member of, as far as it was told. */
  clusters(): readonly KnownCluster[];
  status(): AgentStatus;
  /** Takes no new clusters from now on; present ones are served on. */
  drain(): Promise<void>;
  /** Leaves for good, which is no failure, and stops. @throws ManagerError when the manager could not be told: it has stopped all the same. */
  leave(): Promise<void>;
  /** Ends everything; the lease runs out by itself. Waits for the handlers at work and for the acks of what they handled. Never throws. */
  stop(): Promise<void>;
}

/**
 * One agent of the cluster manager: it registers, keeps its lease, takes its mail in order and fences itself when its
 * lease has lapsed.
 * @throws ManagerError `invalid_request` that lists every problem of the options.
 * @example
 * const agent = createAgent({ url: 'http://127.0.0.1:8420', token: enrolmentToken, id: 'translator-1', capabilities: ['translate'] });
 * agent.onMessage(async (message) => console.log(message.type, message.data));
 * agent.on('joined', ({ cluster }) => console.log(cluster.members));
 * await agent.start();
 */
export function createAgent(options: AgentOptions): Agent {
  const settings = settingsOf(options);
  const logger = options.logger ?? silentLogger;
  const { id } = settings.registration;
  const nowMs = (): number => performance.now();
  const life = new AbortController();
  const grace = new AbortController();
  // Each message in hand listens to them.
  setMaxListeners(0, life.signal, grace.signal);
  const clock = createServerClock(nowMs);
  const mailChanged = createNudge();
  const stopped = (): Error => new Error(`Agent "${id}" was stopped`);
  let loops: Promise<unknown> | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  const context: AgentContext = {
    settings,
    logger,
    nowMs,
    clock,
    api: createAgentApi(settings.url, id, clock.note),
    life: {
      hasBegun: () => loops !== undefined,
      signal: life.signal,
      grace: grace.signal,
      beginGrace: () => (graceTimer ??= setTimeout(() => grace.abort(stopped()), graceMs)),
    },
    requests: createPendingRequests(id, mailChanged),
    standing: createStanding(nowMs),
    memberships: createMemberships(id, nowMs),
    events: createEmitter<AgentEvents>((error) => logger.error({ agentId: id, err: error }, 'listener threw')),
    nudge: createNudge(),
    says: { readiness: 'ready', readinessIsNews: false, figures: {} },
    handlers: {},
  };
  const { standing, memberships, events, nudge, says, handlers, api } = context;
  const { renewAll, ...messaging } = createMessaging(context);
  let incarnation = 0;
  events.on('registered', (event) => {
    incarnation = event.incarnation;
    if (event.again) void renewAll();
  });

  const stop = async (): Promise<void> => {
    life.abort(stopped());
    await loops;
    clearTimeout(graceTimer);
    grace.abort(stopped());
    standing.close();
  };
  const ownToken = (what: string): string => {
    const token = standing.token();
    if (token === undefined || life.signal.aborted)
      throw new ManagerError('state_conflict', `Agent "${id}" is not registered now, so it cannot ${what}`);
    return token;
  };
  const guarded = (loop: Promise<void>): Promise<void> =>
    loop.catch((error: unknown) => {
      logger.error({ agentId: id, err: error }, 'agent failed');
      events.emit('error', asError(error));
      life.abort(asError(error));
      grace.abort(asError(error));
      standing.close();
    });

  return {
    id,
    ...messaging,
    start: () => {
      if (loops || life.signal.aborted) {
        return Promise.reject(
          new ManagerError('state_conflict', `Agent "${id}" was started before; create another one to start again`),
        );
      }
      return new Promise((resolve, reject) => {
        const onFirst = (refusal?: Error): void => {
          if (!refusal && !life.signal.aborted) return resolve();
          life.abort(refusal);
          grace.abort(refusal);
          standing.close();
          reject(refusal ?? new ManagerError('cancelled', `Agent "${id}" was stopped before it was registered`));
        };
        loops = Promise.all([
          guarded(keepRegistered(context, life.signal, onFirst)),
          guarded(takeMail(context, mailChanged)),
        ]);
      });
    },
    onMessage: (handler) => void (handlers.message = handler),
    onInvitation: (handler) => void (handlers.invitation = handler),
    on: events.on,
    setReadiness: (readiness) => {
      says.readiness = readiness;
      says.readinessIsNews = true;
      nudge.nudge();
    },
    report: (figures) => {
      says.figures = { ...says.figures, ...checked(figures) };
    },
    clusters: memberships.all,
    status: () => ({
      id,
      state: stateOf(life.signal.aborted, incarnation, standing.token()),
      readiness: says.readiness,
      incarnation,
      clusters: memberships.all().map((cluster) => cluster.id),
    }),
    drain: async () => {
      await api.drain(ownToken('drain'), life.signal);
      says.readiness = 'draining';
    },
    leave: async () => {
      const token = standing.lastToken();
      await stop();
      if (token !== undefined) await api.leave(token, AbortSignal.timeout(10_000));
    },
    stop,
  };
}

function checked(figures: Omit<Heartbeat, 'readiness'>): Omit<Heartbeat, 'readiness'> {
  const parsed = heartbeat.omit({ readiness: true }).safeParse(figures);
  if (parsed.success) return parsed.data;
  const problems = problemsOf(parsed.error);
  throw new ManagerError(
    'invalid_request',
    `The report has problems: ${problems.map((p) => `${p.path}: ${p.message}`).join('; ')}`,
    { problems },
  );
}

function stateOf(stopped: boolean, incarnation: number, token: string | undefined): AgentStatus['state'] {
  if (stopped) return 'stopped';
  if (token !== undefined) return 'registered';
  return incarnation === 0 ? 'new' : 'unavailable';
}
