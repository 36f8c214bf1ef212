import { expect, it, onTestFinished } from 'vitest';
import { handle } from '../../src/queue/handle.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { until } from '../support/until.ts';
import { startDoor, startTestQueues, testQueue } from './support.ts';

const job = (id: string) => ({ id, payload: { v: 1 as const, id } });

it('R2: a worker and a producer that were opened while Postgres was away work when it is there', async () => {
  const test = await startTestQueues('postgres');
  onTestFinished(() => test.close());
  const door = await startDoor(test.databaseUrl);
  onTestFinished(() => door.close());
  const late = test.another(door.url);
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
  await expect(late.add(queue, [job('a')])).rejects.toThrow(/ECONNRESET|Connection terminated/);
  await until(() => test.lines.some(({ msg }) => msg === 'a store refuses or is away'));
  door.open();
  await late.add(queue, [job('a')]);
  await until(() => ran === 1);
});
