import { afterAll, beforeAll, inject } from 'vitest';
import { openDeployment, type Deployment, type DeploymentOptions } from './deployment.js';

/** Runs a test on a deployment that no other test uses meanwhile. */
export type WithDeployment = <Result>(test: (deployment: Deployment) => Promise<Result>) => Promise<Result>;

/** Opens `count` deployments before the concurrent tests of a file, and closes them afterwards. */
export function useDeployments(count: number, options: DeploymentOptions = {}): WithDeployment {
  let deployments: Deployment[] = [];
  const free: Deployment[] = [];
  const waiting: ((deployment: Deployment) => void)[] = [];
  beforeAll(async () => {
    const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
    deployments = await Promise.all(Array.from({ length: count }, () => openDeployment(services, options)));
    free.push(...deployments);
  });
  afterAll(async () => {
    await Promise.all(deployments.map((deployment) => deployment.close()));
  });
  return async (test) => {
    const deployment = free.pop() ?? (await new Promise<Deployment>((resolve) => waiting.push(resolve)));
    try {
      return await test(deployment);
    } finally {
      const next = waiting.shift();
      if (next) next(deployment);
      else free.push(deployment);
    }
  };
}
