import { messageOf, UserError } from '../errors.ts';
import { isInfrastructureFault } from '../infrastructure.ts';

/** What a person can do about a complaint: Postgres's by SQLSTATE, BullMQ's by its name. */
const REMEDIES: Record<string, string> = {
  '42P01': 'The database lacks tables of this version: orderfleet migrate', // undefined_table
  '42703': 'The database lacks columns of this version: orderfleet migrate', // undefined_column
  SchemaMigrationRequiredError: 'The database lacks the queues’ schema of this version: orderfleet migrate',
  '3D000': 'Postgres has no such database: create it, or correct DATABASE_URL', // invalid_catalog_name
  '28P01': 'Postgres refuses the user or the password of DATABASE_URL', // invalid_password
  '28000': 'Postgres refuses the user of DATABASE_URL', // invalid_authorization_specification
  '42501': 'The user of DATABASE_URL may not do this', // insufficient_privilege
};

/** The line for what a person can mend (exit code 2), or undefined when the fault is ours and its stack is wanted. */
export function remedyOf(error: unknown): string | undefined {
  if (error instanceof UserError) return error.message;
  // the innermost says what happened; what wraps it (a failed query) shows our SQL and its parameters
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const remedy = cause instanceof Error && REMEDIES['code' in cause ? String(cause.code) : cause.name];
  if (remedy) return `${remedy}\n${messageOf(cause)}`;
  const refused = /unsupported startup parameter: (\S+)/.exec(messageOf(cause))?.[1];
  if (refused)
    return `The pooler that DATABASE_URL leads through takes no ${refused}: leave it out of the address and give it to the role (ALTER ROLE … SET …), or connect to Postgres itself`;
  if (!isInfrastructureFault(cause)) return undefined;
  return `Postgres or Redis does not answer: ${messageOf(cause)}\nIs the fleet running (orderfleet up), and are DATABASE_URL and REDIS_URL right?`;
}
