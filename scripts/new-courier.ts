import { createCourier } from './create-courier.ts';

/** `npm run new:courier NAME`: the files of a courier (C15), for a made-up API to start from. */
try {
  process.stdout.write(createCourier(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
