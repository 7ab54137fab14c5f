"""The tables that indexes in PostgreSQL live in, and every statement that is sent to them. docs/reference/format.md tells what is in them.

All statements are constants; whatever comes from outside is a parameter.
"""

from __future__ import annotations

#: The version that this one reads and writes.
VERSION = 2

#: What makes each version from the one before.
MIGRATIONS = (
    """
create schema neardup;
create table neardup.migrations (version int4 primary key, applied timestamptz not null default now());
create table neardup.indexes (
    number int4 generated always as identity (maxvalue 524287) primary key,
    name text collate "C" not null unique,
    parameters text not null,
    sum int8 not null);
create sequence neardup.batches as int8 maxvalue 8796093022207;
create table neardup.counts (
    index int4 not null, shard int4 not null, documents int8 not null, primary key (index, shard)
) with (fillfactor = 50);
create table neardup.entries (
    home int8 not null, rest int4 not null, twin int2 not null, body bytea not null, primary key (home, rest, twin)
) with (autovacuum_vacuum_scale_factor = 0.05);
alter table neardup.entries alter column body set storage external;
create table neardup.postings (key int8 not null, priority int4 not null, name int4 not null)
    with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
create index postings_key on neardup.postings (key, priority, name);
create table neardup.documents (
    number int8 not null, home int8 not null, index int4 not null, rest int4 not null, twin int2 not null,
    id bytea not null, long bytea, primary key (index, id)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index documents_number on neardup.documents (index, number);
create index documents_entry on neardup.documents (home, rest, twin);
create function neardup.candidates(index_number int4, keys int8[], own int8[], bucket_limit int8)
returns table (home int8, rest int4, twin int2, body bytea, members bytea[], first int8)
language plpgsql stable parallel safe rows 20
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off
as $$
begin
    return query
    with met as materialized (
        select (index_number::int8 << 32) | (found.name::int8 & 4294967295) as home
        from unnest(keys) as asked (key) cross join lateral (
            select postings.name from neardup.postings where postings.key = asked.key
            order by postings.priority fetch first bucket_limit rows with ties) as found
        union select unnest(own))
    select entries.home, entries.rest, entries.twin, entries.body, of_it.members, of_it.first
    from met join neardup.entries on entries.home = met.home cross join lateral (
        select array_agg(coalesce(documents.long, documents.id) order by documents.number) as members, min(documents.number) as first
        from neardup.documents
        where documents.home = entries.home and documents.rest = entries.rest and documents.twin = entries.twin) as of_it;
end $$;
""",
    """
alter table neardup.counts add column written int8 not null default 0, add column learnt bytea;
alter table neardup.counts alter column learnt set storage external;
""",
)

EXISTS = "select to_regclass('neardup.migrations') is not null"
MIGRATING = "select pg_advisory_xact_lock(6873730407183515904)"
VERSION_OF = "select coalesce(max(version), 0) from neardup.migrations"
MIGRATED = "insert into neardup.migrations (version) values (%s)"
FIND_INDEX = "select number, parameters, sum from neardup.indexes where name = %s"
NEW_INDEX = "insert into neardup.indexes (name, parameters, sum) values (%s, %s, %s) on conflict (name) do nothing"
COUNT = "select coalesce(sum(documents), 0)::int8 from neardup.counts where index = %s"
# The number of a transaction that a crash undid may be another one's afterwards: a change of its own is known by what it leaves here.
# It counts nothing where the index is gone, and says nothing then.
COUNTED = """
with before as (select learnt from neardup.counts where index = %(index)s and shard = -2 - pg_backend_pid() %% 4096)
insert into neardup.counts (index, shard, documents, written, learnt)
select %(index)s, shard, documents, written, learnt
from (values (pg_backend_pid() %% 64, %(more)s::int8, %(written)s::int8, null), (-2 - pg_backend_pid() %% 4096, 0, 0, %(change)s::bytea))
    as counted (shard, documents, written, learnt)
where exists (select from neardup.indexes where number = %(index)s)
on conflict (index, shard) do update set documents = counts.documents + excluded.documents, written = counts.written + excluded.written,
    learnt = coalesce(excluded.learnt, counts.learnt)
returning pg_current_xact_id()::text, shard, (select learnt from before)"""
STATUS = "select pg_xact_status(%s::xid8)"
LAST_CHANGE = "select learnt from neardup.counts where index = %s and shard = %s"
BATCHES = "select nextval('neardup.batches') from generate_series(1, %s)"
LOCK = "select pg_advisory_xact_lock(%s::int8 + stripe) from unnest(%s::int4[]) as stripe"
KNOWN = "select id from neardup.documents where index = %s and id = any(%s::bytea[])"
ENTRIES = """
select e.home, e.rest, e.twin, e.body from unnest(%s::int8[], %s::int4[]) as asked (home, rest) cross join lateral (
    select * from neardup.entries where entries.home = asked.home and entries.rest = asked.rest order by twin for key share) as e"""
ENTRIES_TO_MEND = ENTRIES.replace("for key share", "for no key update")  # two who mend wait for each other, and nobody else does
ANY_ENTRY = "select exists (select from neardup.entries where home >= %s::int8 and home < %s::int8)"
COPY_ENTRIES = "copy neardup.entries (home, rest, twin, body) from stdin (format binary)"
COPY_POSTINGS = "copy neardup.postings (key, priority, name) from stdin (format binary)"
COPY_DOCUMENTS = "copy neardup.documents (number, home, index, rest, twin, id, long) from stdin (format binary)"
INSERT_ONE = """
with e as (insert into neardup.entries select %s::int8, %s::int4, %s::int2, %s::bytea where %s),
p as (insert into neardup.postings select * from unnest(%s::int8[], %s::int4[], %s::int4[]))
insert into neardup.documents (number, home, index, rest, twin, id, long) values (%s, %s, %s, %s, %s, %s, %s)"""
HAVE_DOCUMENT = "select home, rest, twin from neardup.documents where index = %s and id = %s for update"
HAVE_ENTRY = "select body from neardup.entries where home = %s and rest = %s and twin = %s for update"
DELETE_DOCUMENT = "delete from neardup.documents where index = %s and id = %s"
MOVE_DOCUMENT = "update neardup.documents set number = %s, home = %s, rest = %s, twin = %s where index = %s and id = %s"
IS_USED = "select exists (select from neardup.documents where home = %s and rest = %s and twin = %s)"
DELETE_ENTRY = "delete from neardup.entries where home = %s and rest = %s and twin = %s"
DELETE_POSTINGS = """
delete from neardup.postings where ctid = any(array(
    select (select ctid from neardup.postings p where p.key = a.key and p.priority = a.priority and p.name = a.name limit 1)
    from unnest(%s::int8[], %s::int4[], %s::int4[]) as a (key, priority, name)))"""
CANDIDATES = "select * from neardup.candidates(%s, %s::int8[], %s::int8[], %s) order by first"
STORED = """
select d.home, d.rest, e.body
from neardup.documents d left join neardup.entries e using (home, rest, twin) where d.index = %s and d.id = %s"""
HAS = "select exists (select from neardup.documents where index = %s and id = %s)"
IDS = "select number, coalesce(long, id) from neardup.documents where index = %s and number > %s order by number limit %s"
DOCUMENTS = """
select d.number, coalesce(d.long, d.id), e.home, e.rest, e.body
from (select * from neardup.documents where index = %s and number > %s order by number limit %s) d
left join neardup.entries e using (home, rest, twin) order by d.number"""
SLICE = """
select e.home, e.rest, e.twin, e.body, (
    select array_agg(coalesce(d.long, d.id) order by d.number) from neardup.documents d
    where d.home = e.home and d.rest = e.rest and d.twin = e.twin)
from neardup.entries e where (home, rest, twin) > (%s::int8, %s::int4, %s::int2) and home < %s::int8 order by home, rest, twin limit %s"""
HEAVY = """
select key, count(*), min(name::int8 & 4294967295)
from neardup.postings where key >= %s::int8 and key < %s::int8 group by key having count(*) > %s order by key"""
HEAVY_EXAMPLE = """
select coalesce(d.long, d.id) from neardup.entries e join neardup.documents d using (home, rest, twin)
where e.home = %s order by e.rest, d.number limit 1"""
LOST_POSTINGS = """
select p.key, p.priority, p.name from unnest(%s::int8[], %s::int4[], %s::int4[]) as p (key, priority, name)
where not exists (select from neardup.postings o where o.key = p.key and o.priority = p.priority and o.name = p.name)"""
LONE_POSTINGS = """
delete from neardup.postings p where p.key >= %s::int8 and p.key < %s::int8 and not exists (
    select from neardup.entries e where e.home = (%s::int8 << 32) | (p.name::int8 & 4294967295))"""
EXTENT = """
select coalesce(sum(documents), 0)::int8, coalesce(sum(written), 0)::int8, (
    select substr(learnt, length(learnt) - 7) from neardup.counts where index = %s and shard = -1)
from neardup.counts where index = %s"""
LEARNT = "select learnt from neardup.counts where index = %s and shard = -1"
KEEP_LEARNT = """
insert into neardup.counts (index, shard, documents, learnt) values (%s, -1, 0, %s)
on conflict (index, shard) do update set learnt = excluded.learnt where substr(counts.learnt, length(counts.learnt) - 7) = %s"""
SIZE = """
select (pg_total_relation_size('neardup.entries') + pg_total_relation_size('neardup.postings')
    + pg_total_relation_size('neardup.documents') + pg_total_relation_size('neardup.counts'))::int8,
    (select coalesce(sum(documents), 0)::int8 from neardup.counts)"""
VACUUM = ("vacuum (analyze) neardup.postings", "vacuum (analyze) neardup.entries", "vacuum (analyze) neardup.documents")
