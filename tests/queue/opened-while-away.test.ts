import { expect, it, onTestFinished } from 'vitest';
import { handle } from '../../src/queue/handle.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { NOBODY, startProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';
import { job, startTestQueues, testQueue } from './support.ts';

it('R2: a worker and a producer that were opened while Postgres was away work once it is there', async () => {
  const test = await startTestQueues('postgres');
  onTestFinished(() => test.close());
  const proxy = await startProxy(NOBODY);
  onTestFinished(() => proxy.close());
  const late = test.another(proxy.through(test.databaseUrl));
  const queue = testQueue();
  let ran = 0;
  const running = runWorkers(
    [
      handle(queue, async () => {
        ran++;
        return { outcome: 'fine' };
      }),
    ],
    { queues: late, log: test.log },
  );
  onTestFinished(() => running.stop(0));
  await expect(late.add(queue, [job('a')])).rejects.toThrow(
    /ECONNRESET|Connection terminated|closes the connection at once/,
  );
  await until(() => test.lines.some(({ msg }) => msg === 'Postgres or Redis is failing or unreachable'));
  proxy.pointTo(Number(new URL(test.databaseUrl).port));
  await late.add(queue, [job('a')]);
  await until(() => ran === 1);
});
