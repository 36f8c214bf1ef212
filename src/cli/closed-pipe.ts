const ignore = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EPIPE') throw error;
};

/** The reader of a pipe may stop early: `orderfleet words list | head`. Safe to call twice. */
export function mindNoClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) stream.off('error', ignore).on('error', ignore);
}
