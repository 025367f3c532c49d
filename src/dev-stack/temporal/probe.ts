const service = '/temporal.api.workflowservice.v1.WorkflowService';

/** A protobuf message whose first field is this string of at most 127 bytes. */
const stringMessage = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
};

const asBytes = (message: Buffer): Buffer => message;

/** Calls a method of a plain-text Temporal server. gRPC is loaded here only: most set-ups never ask a server. */
const call = async (address: string, method: string, message: Buffer, timeoutMs: number): Promise<Buffer> => {
  const { Client, credentials } = await import('@grpc/grpc-js');
  const client = new Client(address, credentials.createInsecure(), {
    // A pool of its own: a shared connection that was refused is tried again only after a second.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  });
  try {
    return await new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(`${service}/${method}`, asBytes, asBytes, message, options, (error, reply) =>
        reply ? resolve(reply) : reject(error ?? new Error('the server sent an empty answer')),
      );
    });
  } finally {
    client.close();
  }
};

/** Whether a namespace exists at a plain-text Temporal address. */
export const hasNamespace = (address: string, namespace: string): Promise<boolean> =>
  call(address, 'DescribeNamespace', stringMessage(namespace), 2_000).then(
    () => true,
    () => false,
  );

/** The version of the Temporal server at a plain-text address. @throws Error that says why there is no answer. */
export const temporalServerVersion = async (address: string, timeoutMs = 5_000): Promise<string> => {
  // The version is the first field of the answer.
  const [tag, length = 0, ...rest] = await call(address, 'GetSystemInfo', Buffer.alloc(0), timeoutMs);
  if (tag !== 0x0a) throw new Error('its answer contains no version');
  return Buffer.from(rest.slice(0, length)).toString('utf8');
};
