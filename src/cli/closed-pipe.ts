const ignore = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EPIPE') throw error;
};

/** Whoever reads through a pipe may have enough: `orderfleet words list | head`. Told twice, it listens once. */
export function mindNoClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) stream.off('error', ignore).on('error', ignore);
}
