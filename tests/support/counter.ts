/** A process for the tests of process.ts: adds one to START and stays until it is told to stop. */
const start = Number(process.env.START);
if (Number.isNaN(start)) {
  console.error('START is not a number');
  process.exit(1);
}
const staying = setInterval(() => undefined, 1_000);
process.once('SIGTERM', () => {
  console.error('told to stop');
  clearInterval(staying);
});
console.log(`counted ${start + 1}`);
