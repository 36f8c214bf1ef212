import { messageOf, UserError } from '../lib/errors.ts';
import { isInfrastructureFault } from '../lib/infrastructure.ts';

/** What an operator can do about an error: Postgres's by SQLSTATE, BullMQ's by its name. */
const REMEDIES: Record<string, string> = {
  '42P01': 'The database is missing tables of this version. Run: orderfleet migrate', // undefined_table
  '42703': 'The database is missing columns of this version. Run: orderfleet migrate', // undefined_column
  SchemaMigrationRequiredError:
    'The database is missing the queue schema of this version. Run: orderfleet migrate',
  '3D000': 'The database does not exist: create it, or correct DATABASE_URL', // invalid_catalog_name
  '28P01': 'Postgres rejected the user or password of DATABASE_URL', // invalid_password
  '28000': 'Postgres rejected the user of DATABASE_URL', // invalid_authorization_specification
  '42501': 'The user of DATABASE_URL lacks the permission for this', // insufficient_privilege
};

/** A line about what an operator can fix (exit code 2); undefined for a bug of ours, which needs its stack. */
export function remedyOf(error: unknown): string | undefined {
  if (error instanceof UserError) return error.message;
  // the innermost error says what happened; its wrapper (a failed query) shows our SQL and its parameters
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const remedy = cause instanceof Error && REMEDIES['code' in cause ? String(cause.code) : cause.name];
  if (remedy) return `${remedy}\n${messageOf(cause)}`;
  const refused = /unsupported startup parameter: (\S+)/.exec(messageOf(cause))?.[1];
  if (refused)
    return `The pooler in DATABASE_URL does not support ${refused}: remove it from the URL and set it on the role (ALTER ROLE … SET …), or connect to Postgres directly`;
  if (!isInfrastructureFault(cause)) return undefined;
  return `Postgres or Redis does not answer: ${messageOf(cause)}\nCheck that the fleet is running (orderfleet up), and that DATABASE_URL and REDIS_URL are correct.`;
}
