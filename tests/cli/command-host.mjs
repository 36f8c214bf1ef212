/**
 * Runs commands of the built `orderfleet` one after another in one process, each as `node main.js …` would: with its
 * own arguments, environment and exit code. What a command prints ends with the mark, on both streams. A command
 * that calls process.exit ends this process, as it would end its own.
 */
const [, , main, mark] = process.argv;
let commands = 0;
process.on('disconnect', () => process.exit());
process.on('message', async ({ args, env }) => {
  process.argv = [process.execPath, main, ...args];
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.exitCode = undefined;
  // of the commands before
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error');
  // the query makes it another module to Node, so that it runs again; what it imports stays loaded
  await import(`${main}?command=${++commands}`);
  process.send({ code: process.exitCode ?? 0 });
  process.stdout.write(mark);
  process.stderr.write(mark);
});
