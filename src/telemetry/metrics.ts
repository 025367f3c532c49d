import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The figures of one process; `registry.metrics()` is its Prometheus page. */
export interface Metrics {
  readonly registry: Registry;
  /** Seconds from a request's headers to its answer. `route` is the pattern (`/v1/agents/:id`), never the path. */
  readonly httpRequestSeconds: Histogram<'method' | 'route' | 'status'>;
  /** Formation requests accepted, and ended by outcome: completed, compensated, refused, cancelled. */
  readonly formations: Counter<'outcome'>;
  /** Heartbeats by outcome: accepted, or the refusal's code. */
  readonly heartbeats: Counter<'outcome'>;
  /** Seconds from a message's acceptance to its first hand-over (`handed_over`) and to its ack (`acked`). */
  readonly messageSeconds: Histogram<'measure'>;
  /** Messages by outcome: accepted, dead_letter, or the refusal's code. */
  readonly messages: Counter<'outcome'>;
  /** Inboxes that are being streamed now. */
  readonly openStreams: Gauge;
  /** Heartbeats written by one statement. */
  readonly heartbeatBatchSize: Histogram;
}

/** A registry of its own for each call: tests and several servers in a process do not count into one another. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    httpRequestSeconds: new Histogram({
      name: 'cluster_manager_http_request_duration_seconds',
      help: 'Seconds from request to answer.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    formations: new Counter({
      name: 'cluster_manager_formations_total',
      help: 'Formation requests by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    heartbeats: new Counter({
      name: 'cluster_manager_heartbeats_total',
      help: 'Heartbeats by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    messageSeconds: new Histogram({
      name: 'cluster_manager_message_duration_seconds',
      help: 'Seconds from acceptance to hand-over and to ack.',
      labelNames: ['measure'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    messages: new Counter({
      name: 'cluster_manager_messages_total',
      help: 'Messages by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    openStreams: new Gauge({
      name: 'cluster_manager_open_streams',
      help: 'Inboxes that are being streamed now.',
      registers,
    }),
    heartbeatBatchSize: new Histogram({
      name: 'cluster_manager_heartbeat_batch_size',
      help: 'Heartbeats written by one statement.',
      buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500],
      registers,
    }),
  };
}
