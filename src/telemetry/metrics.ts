import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process; `registry.metrics()` renders them for Prometheus. */
export type Metrics = ReturnType<typeof createMetrics>;

/** Each call makes a registry of its own, so that several servers in one process do not share counts. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter<Label>({ name, help, labelNames, registers });
  return {
    registry,
    /** Seconds from a request's headers to its response. `route` is the pattern (`/v1/agents/:id`), never the path. */
    httpRequestSeconds: new Histogram({
      name: 'cluster_manager_http_request_duration_seconds',
      help: 'Seconds from request to response.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    /** Outcomes: accepted. */
    formations: counter('cluster_manager_formations_total', 'Formation requests by outcome.', ['outcome']),
    /** Outcomes: accepted, or an error code. */
    heartbeats: counter('cluster_manager_heartbeats_total', 'Heartbeats by outcome.', ['outcome']),
    /** Seconds from a message's acceptance to its first delivery (`handed_over`) and to its ack (`acked`). */
    messageSeconds: new Histogram({
      name: 'cluster_manager_message_duration_seconds',
      help: 'Seconds from acceptance to first delivery and to ack.',
      labelNames: ['measure'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    /** Outcomes: accepted, duplicate, dead_letter, or an error code. */
    messages: counter('cluster_manager_messages_total', 'Messages by outcome.', ['outcome']),
    openStreams: new Gauge({ name: 'cluster_manager_open_streams', help: 'Open streams of inboxes.', registers }),
    failedAuthentications: counter('cluster_manager_failed_authentications_total', 'Requests without a valid token.'),
    limitRefusals: counter('cluster_manager_limit_refusals_total', 'Requests refused by a limit.', ['limit']),
    heartbeatBatchSize: new Histogram({
      name: 'cluster_manager_heartbeat_batch_size',
      help: 'Heartbeats written by one statement.',
      buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500],
      registers,
    }),
  };
}
