// Exits 0 when the process in this container reports that it is alive and consuming, else 1: `web` on PORT, all other roles
// on METRICS_PORT; a container has one of the two.
const ports = [process.env.METRICS_PORT || 9400, process.env.PORT || 8080];

const check = async (port) => {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4000) });
  if (!response.ok)
    throw new Error(`port ${port}: ${response.status} ${(await response.text()).slice(0, 300)}`);
};

try {
  await Promise.any(ports.map(check));
} catch (error) {
  console.error(error.errors.map(({ message, cause }) => cause?.message ?? message).join('\n'));
  process.exitCode = 1;
}
