/** A dashboard user. `write` may retry jobs, start runs and see an order's buyer; `read` is read-only (O3). */
export interface User {
  name: string;
  role: 'read' | 'write';
}

/** Context of the dashboard's routes, behind the login. */
export interface WebEnv {
  Variables: { user: User };
}
