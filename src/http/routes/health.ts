import { withinLimit } from '../../operations/within-limit.js';
import { ping } from '../../stores/database.js';
import type { ManagerDeps } from '../deps.js';
import { Reply, type Handlers } from '../handlers.js';
import { openApiDocument } from '../openapi.js';

const checkLimitMs = 2000;

interface Component {
  readonly name: string;
  readonly ready: boolean;
  readonly problem?: string;
}

export const healthHandlers = (deps: ManagerDeps) => {
  const checks = checksOf(deps);
  let document: Record<string, unknown> | undefined;
  return {
    livez: () => ({ alive: true }),

    readyz: async () => {
      const parts = await Promise.all(checks.map((check) => check()));
      const ready = parts.every((part) => part.ready) && !deps.stopping.aborted;
      return new Reply(ready ? 200 : 503, { ready, parts });
    },

    getMetrics: async () => {
      const { registry } = deps.metrics;
      return new Reply(200, await registry.metrics(), { 'content-type': registry.contentType });
    },

    getOpenApi: () => {
      document ??= { ...openApiDocument() };
      return new Reply(200, document, { 'cache-control': 'max-age=300' });
    },
  } satisfies Partial<Handlers>;
};

function checksOf(deps: ManagerDeps): readonly (() => Promise<Component>)[] {
  const checks: Readonly<Record<string, () => Promise<void>>> = {
    clusters_db: () => ping(deps.clusters),
    communication_db: () => ping(deps.communication),
    resources_db: () => ping(deps.resources),
    // No such workflow exists; "not found" shows that Temporal and the namespace are available.
    temporal: async () => void (await deps.client.progress(`${deps.config().id}/readyz`)),
  };
  return Object.entries(checks).map(([name, check]) => componentCheck(deps, name, check));
}

/** Runs one check at a time: probes that arrive while a service is unavailable must not pile up on it. */
function componentCheck({ logger }: ManagerDeps, name: string, check: () => Promise<void>): () => Promise<Component> {
  let running: Promise<void> | undefined;
  return async () => {
    running ??= check().finally(() => {
      running = undefined;
    });
    try {
      await withinLimit(running, checkLimitMs, `${name} did not respond; see the log`);
      return { name, ready: true };
    } catch (err) {
      logger.warn({ err, part: name }, 'a service is not ready');
      return { name, ready: false, problem: 'is unavailable at present; see the log of the server' };
    }
  };
}
