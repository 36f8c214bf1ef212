-- Two roles with the least rights each (R5): the owner, as which migrations run and nothing else, and the role of the workers
-- and of the command line, which reads and writes rows and can change no table. Run it once, before the first migration, as a
-- superuser or as a managed service's administrator:
--
--   psql "$ADMIN_URL" -f deploy/postgres/roles.sql
--
-- and give both a password with psql's \password, which shows it to nobody.
create role orderfleet_owner login;
create role orderfleet_app login;
-- an administrator who is no superuser may give things to a role only as one of its members
grant orderfleet_owner to current_user;
create database orderfleet owner orderfleet_owner;
\connect orderfleet
revoke all on database orderfleet from public;
-- temporary: BullMQ collects what it adds at once in temporary tables
grant connect, temporary on database orderfleet to orderfleet_app;
-- BullMQ makes a sequence for each queue when its first job is added: there, and nowhere else, the app may create things
create schema bullmq authorization orderfleet_owner;
grant create on schema bullmq to orderfleet_app;
grant usage on schema bullmq to orderfleet_app;
-- whatever migrations create, now and later: public, and the schemas bullmq (queues) and drizzle (migrations done)
alter default privileges for role orderfleet_owner grant usage on schemas to orderfleet_app;
alter default privileges for role orderfleet_owner grant select, insert, update, delete on tables to orderfleet_app;
alter default privileges for role orderfleet_owner grant usage on sequences to orderfleet_app;
