/** Who looks at the dashboard. `write` may retry jobs, start runs and see an order's buyer; `read` may look (O3). */
export interface User {
  name: string;
  role: 'read' | 'write';
}

/** What the routes of the dashboard find in their context: whoever got there has been let in. */
export interface WebEnv {
  Variables: { user: User };
}
