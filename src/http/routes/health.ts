import { z } from 'zod';
import { ping } from '../../stores/ping.js';
import type { Api, ManagerDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { withinLimit } from '../../operations/within-limit.js';

const limitMs = 2000;

interface Part {
  readonly name: string;
  readonly ready: boolean;
  readonly problem?: string;
}

const live = operationRoute({
  operationId: 'livez',
  method: 'get',
  path: '/livez',
  summary: 'Whether the process answers',
  tags: ['health'],
  responses: { 200: json(shapes.aliveAnswer, 'It does') },
});

const ready = operationRoute({
  operationId: 'readyz',
  method: 'get',
  path: '/readyz',
  summary: 'Whether every part that requests need is there, and which is not',
  tags: ['health'],
  responses: { 200: json(shapes.readyAnswer, 'Ready'), 503: json(shapes.readyAnswer, 'Not ready: some part is away') },
});

const metrics = operationRoute({
  operationId: 'getMetrics',
  method: 'get',
  path: '/metrics',
  summary: 'Figures for Prometheus',
  tags: ['health'],
  responses: { 200: { description: 'Prometheus text', content: { 'text/plain': { schema: z.string() } } } },
});

export function healthRoutes(api: Api, deps: ManagerDeps): void {
  const parts = partsOf(deps);
  api.openapi(live, (c) => c.json({ alive: true as const }, 200));

  api.openapi(ready, async (c) => {
    const seen = await Promise.all(parts.map((check) => check()));
    const isReady = seen.every((part) => part.ready) && !deps.stopping.aborted;
    return c.json({ ready: isReady, parts: seen }, isReady ? 200 : 503);
  });

  api.openapi(metrics, async (c) => {
    const { registry } = deps.metrics;
    return c.text(await registry.metrics(), 200, { 'content-type': registry.contentType });
  });
}

function partsOf(deps: ManagerDeps): readonly (() => Promise<Part>)[] {
  const checks: Readonly<Record<string, () => Promise<void>>> = {
    clusters_db: () => ping(deps.clusters),
    communication_db: () => ping(deps.communication),
    resources_db: () => ping(deps.resources),
    // A workflow that never was: "not found" is an answer, and shows that the namespace is there too.
    temporal: async () => void (await deps.client.progress(`${deps.config().id}/readyz`)),
  };
  return Object.entries(checks).map(([name, check]) => partCheck(deps, name, check));
}

/** One look at a time: probes that come while a part is away must not pile up on it. */
function partCheck(deps: ManagerDeps, name: string, check: () => Promise<void>): () => Promise<Part> {
  let looking: Promise<void> | undefined;
  return async () => {
    looking ??= check().finally(() => {
      looking = undefined;
    });
    try {
      await withinLimit(looking, limitMs, `${name} cannot be used; the log tells why`);
      return { name, ready: true };
    } catch (err) {
      deps.logger.warn({ err, part: name }, 'a part is not ready');
      return { name, ready: false, problem: 'cannot be used at present; the log of the server tells why' };
    }
  };
}
