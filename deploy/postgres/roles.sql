-- Two roles with minimal privileges (R5): the owner, for migrations and the archive, and the role of the workers and the command line,
-- which reads and writes rows but cannot change tables. Run it once, before the first migration, as a superuser or a managed
-- service's administrator:
--
--   psql "$ADMIN_URL" -f deploy/postgres/roles.sql
--
-- then set both passwords with psql's \password, which does not show them.
create role orderfleet_owner login;
create role orderfleet_app login;
-- an administrator without superuser rights must be a member of a role to assign objects to it
grant orderfleet_owner to current_user;
create database orderfleet owner orderfleet_owner;
\connect orderfleet
revoke all on database orderfleet from public;
-- temporary: BullMQ uses temporary tables for bulk inserts
grant connect, temporary on database orderfleet to orderfleet_app;
-- BullMQ creates a sequence per queue with its first job: only in that schema may the app create objects
create schema bullmq authorization orderfleet_owner;
grant create on schema bullmq to orderfleet_app;
grant usage on schema bullmq to orderfleet_app;
-- everything that migrations create, now and later: public, and the schemas bullmq (queues) and drizzle (migrations)
alter default privileges for role orderfleet_owner grant usage on schemas to orderfleet_app;
alter default privileges for role orderfleet_owner grant select, insert, update, delete on tables to orderfleet_app;
alter default privileges for role orderfleet_owner grant usage on sequences to orderfleet_app;
