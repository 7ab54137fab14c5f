"""The same job on Apache Spark: a corpus that one machine does not hold.

Kernels and decisions are those of :func:`neardup.deduplicate`; the shuffle, the retries and the storage are Spark's. Each
stage is written to a folder before the next reads it, so that what is lost with a machine, or with the driver, is little.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

from neardup.banding import Banding
from neardup.engines.spark import bucketing, counting, deciding, matching, repeating, sessions, signing
from neardup.engines.spark.packing import number_of_slices
from neardup.engines.spark.stages import Stages
from neardup.errors import DuplicateIdError, InputError, ParameterError, check_integer, one_of
from neardup.minhash import MinHash
from neardup.profiles import resolve
from neardup.ranking import Keep
from neardup.rarity import rarity
from neardup.shingling import Shingling, sealed

#: Comparisons a set, on average, beyond which sets that no other precedes are decided before the rest; and rounds of that.
CROWDED, ROUNDS = 64, 12
#: Members from which on a bucket is reported as heavy, as locally.
HEAVY = 128
#: The formulas that unfinished work depends on.
FORMULAS = "words-v1 lattice-v1 spark-1"


class Job:
    """A corpus on Spark, and what becomes of it; stages are run when they are asked for.

    Parameters
    ----------
    df, text, id, order, threshold
        As for :func:`deduplicate`, like all that follow.

    Examples
    --------
    >>> from neardup.engines.spark import sessions
    >>> spark = sessions.session("local[1]")  # doctest: +SKIP
    >>> job = Job(spark.read.parquet("news.parquet"))  # doctest: +SKIP
    >>> job.survivors().write.parquet("clean.parquet")  # doctest: +SKIP
    >>> job.summary()["removed"]  # doctest: +SKIP
    17
    """

    def __init__(
        self,
        df: Any,
        text: str = "text",
        id: str = "id",
        order: str | None = None,
        threshold: float | None = None,
        *,
        profile: str | None = None,
        keep: Keep = "first",
        clusters: Literal["witness", "components"] = "witness",
        recall: float | None = None,
        shingling: Shingling | None = None,
        minhash: MinHash | None = None,
        banding: Banding | None = None,
        verify: Literal["exact", "rarity"] | None = None,
        work: str | os.PathLike[str] | None = None,
        partitions: int | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = resolve(
            profile, threshold, recall, shingling=shingling, minhash=minhash, banding=banding, verify=verify, bucket_limit=None
        )
        if not one_of(self.settings.verify, "exact", "rarity"):
            why = "leaves long buckets out" if self.settings.verify == "noisy" else "says nothing of copies"
            raise ParameterError(
                f"verify is {self.settings.verify!r} (profile {self.settings.profile!r}), which {why}; on Spark it is 'exact' or 'rarity', "
                "with the profiles 'text', 'short' and 'code'; run the others with neardup.deduplicate"
            )
        if not one_of(clusters, "witness", "components"):
            raise ParameterError(f"clusters is {clusters!r}; it is one of 'witness', 'components'")
        ranking = signing.ranking_of(keep, order)
        self.spark = sessions.check_session(df)
        if partitions is None:
            partitions = sessions.partitions_of(self.spark)
        check_integer("partitions", partitions, 1, 1 << 20)
        self.df, self.id, self.clusters, self.partitions = df, id, clusters, partitions
        self._documents, self._order = signing.documents(df, text, id, ranking)
        minhash, banding = self.settings.minhash, self.settings.banding
        job: dict[str, Any] = dict(
            version=FORMULAS, minhash=repr(minhash), banding=repr(banding), threshold=self.settings.threshold, keep=repr(keep), order=order,
            clusters=clusters, text=text, id=id, **sealed(minhash.shingling),
        )  # fmt: skip
        if self.settings.verify != "exact":  # folders of work are older than the choice
            job |= {"verify": self.settings.verify}
        if work is not None:
            if callable(minhash.shingling.tokens):
                raise ParameterError("work is for a job that can be compared with the interrupted one, and a function cannot; leave it out")
            job |= sessions.identity(self.spark, df)
        self._stages = Stages(self.spark, sessions.work_folder(self.spark, work), job, partitions, progress or (lambda _line: None))

    # ---- stages ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _signed(self) -> Any:
        from pyspark.sql import functions as F  # noqa: N812

        size = self.settings.minhash.shingling.size

        def count(signed: Any) -> dict[str, Any]:
            row = signed.agg(
                F.count("number").alias("documents"),
                F.count(F.when(F.col("size") == 0, 1)).alias("without_shingles"),
                F.count(F.when((F.col("size") > 0) & (F.col("size") <= size), 1)).alias("short"),
                F.count(F.when(F.col("id").isNull(), 1)).alias("nulls"),
            ).first()
            counted: dict[str, Any] = row.asDict()
            nulls = counted.pop("nulls")
            if nulls:
                raise InputError(f"{nulls:,} documents have no id in column {self.id!r}; give each one of its own, or filter them out")
            return counted

        return self._stages.run("signing", lambda: signing.signed(self._documents, self.settings.minhash, self.settings.banding), count)

    @cached_property
    def _repeated(self) -> Any:
        signed, slices = self._signed, number_of_slices(self.partitions)

        def count(repeated: Any) -> dict[str, Any]:
            twice = repeating.given_twice(repeated, signed)
            if twice is not None:
                raise DuplicateIdError(f"document {twice!r} is given twice; ids are unique: number the rows, or drop repeats")
            return {}

        return self._stages.run("repeating", lambda: repeating.repeated(signed, slices, self.partitions), count)

    @cached_property
    def _ranks(self) -> Any:
        signed, _ = self._signed, self._repeated
        return signing.with_ranks(self._stages.run("ranking", lambda: signing.ranked(signed, self._order)))

    @cached_property
    def _copies(self) -> Any:
        repeated, ranks = self._repeated, self._ranks
        return self._stages.run("collapsing", lambda: repeating.copies(repeated, ranks), lambda copies: {"copies": copies.count()})

    @cached_property
    def _bar(self) -> matching.Bar:
        """What a pair must reach; by rarity, once the shingles of the first documents are counted."""
        weights = None
        if self.settings.verify == "rarity":
            signed, copies, ranks = self._signed, self._copies, self._ranks

            def made() -> Any:
                sets = ranks.where("size > 0").join(copies.select("number"), "number", "left_anti")
                return counting.counted(sets, signed)

            weights = rarity(counting.census_of(self._stages.run("counting", made)))
        return matching.Bar(self.settings.threshold, self.settings.least, weights)

    @cached_property
    def _buckets(self) -> Any:
        slices = number_of_slices(self.partitions)
        sets = self._signed.where("size > 0").join(self._copies.select("number"), "number", "left_anti")

        def count(_: Any) -> dict[str, Any]:
            return {"postings": self._sets * self.settings.banding.bands}

        def made() -> Any:
            return bucketing.buckets(bucketing.postings(sets, slices, self.partitions), slices)

        return self._stages.run("bucketing", made, count)

    @property
    def _sets(self) -> int:
        """How many distinct shingle sets there are."""
        counted = self._stages.counters
        return int(counted["documents"] - counted["without_shingles"] - counted["copies"])

    @cached_property
    def _candidates(self) -> Any:
        buckets = self._buckets
        return self._stages.run(
            "pairing", lambda: bucketing.candidates(buckets, self.partitions), lambda pairs: {"candidates": pairs.count()}
        )

    @cached_property
    def _matches(self) -> Any:
        """The matches in buckets that are not heavy: ``a`` and ``b`` by number, ``similarity``."""
        pairs, signed, bar = self._candidates, self._signed, self._bar
        return self._stages.run(
            "verifying",
            lambda: matching.matches(pairs, signed, bar, self.partitions),
            lambda found: {"verified": found.count()},
        )

    @cached_property
    def _members(self) -> Any:
        """What is in heavy buckets: ``key``, ``number``, ``rank``, ``size``; None where there are none."""
        from pyspark.sql import functions as F  # noqa: N812

        matches, buckets = self._matches, self._buckets
        del matches  # stages have one order
        if buckets.where(f"kind = {bucketing.MEMBER}").select("kind").isEmpty():
            self._stages.counters |= {"heavy_buckets": 0, "heavy_members": 0}
            return None

        def count(members: Any) -> dict[str, Any]:
            row = (
                members.groupBy("key").count().agg(F.count(F.when(F.col("count") > HEAVY, 1)).alias("heavy"), F.sum("count").alias("many"))
            )
            heavy, many = row.first()
            return {"heavy_buckets": heavy, "heavy_members": many}

        ranks = self._ranks.select("number", "rank", "size")
        return self._stages.run("setting_aside", lambda: bucketing.heavy_members(buckets).join(ranks, "number"), count)

    def _by_rank(self, matches: Any) -> Any:
        """Matches of numbers as edges of ranks."""
        from pyspark.sql import functions as F  # noqa: N812

        ranks = self._ranks
        first, second = (ranks.select(F.col("number").alias(end), F.col("rank").alias(f"rank_{end}")) for end in "ab")
        return matches.join(first, "a").join(second, "b").select(*_ordered("rank_a", "rank_b"), "similarity")

    def _heavy_edges(self, name: str, members: Any, counter: str = "heavy_matches") -> Any:
        """The matches among some members of heavy buckets."""
        from pyspark.sql import functions as F  # noqa: N812

        signed, bar = self._signed, self._bar

        def made() -> Any:
            both = members.withColumn("role", F.lit(matching.BOTH))
            return matching.group_matches(both, signed, bar, self.partitions).select(*_ordered("a", "b"), "similarity").distinct()

        return self._stages.run(name, made, lambda found: {counter: found.count()})

    @cached_property
    def _edges(self) -> Any:
        """All matches, by rank: ``earlier``, ``later``, ``similarity``."""
        edges, members = self._by_rank(self._matches), self._members
        return edges if members is None else edges.unionAll(self._heavy_edges("joining_heavy", members)).distinct()

    @cached_property
    def _decided(self) -> Any:
        """What is removed, with its keeper, of distinct shingle sets: ``removed``, ``keeper``, ``similarity``, by rank."""
        if self.clusters == "components":
            return self._connected()
        members = self._members
        crowded = False
        if members is not None:
            many, _ = deciding.comparisons(members)
            crowded = many > CROWDED * self._sets
        if crowded:
            return self._decided_crowds(members)
        edges = self._edges
        ordered = self._stages.run("sorting", lambda: deciding.in_order(edges))
        documents = self._stages.counters["documents"]
        return self._stages.run("deciding", lambda: deciding.witnesses(deciding.deciding_edges(ordered, documents)))

    def _decided_crowds(self, members: Any) -> Any:
        """The same where sets crowd together: those that come first are kept, what matches them is taken out, and again."""
        from pyspark.sql import functions as F  # noqa: N812

        stages, signed, bar = self._stages, self._signed, self._bar
        edges = stages.run("ranking_matches", lambda: self._by_rank(self._matches))
        decided = self.spark.range(0).select(F.col("id").alias("rank"), F.lit(True).alias("kept"))  # noqa: FBT003  a column
        undecided = members
        left, many = deciding.comparisons(members)
        for turn in range(ROUNDS):
            leaders, stars = deciding.ahead(members, edges, decided)
            leaders = stages.run(f"leaders_{turn}", _same(leaders))
            stars = stages.run(f"stars_{turn}", _same(stars))

            def peeled(leaders: Any = leaders, stars: Any = stars, decided: Any = decided) -> Any:
                met = matching.matches(stars, signed, bar, self.partitions).select("rank")
                kept = leaders.select(F.col("rank").alias("earlier"))
                removed = met.unionAll(edges.join(kept, "earlier", "left_semi").select(F.col("later").alias("rank"))).distinct()
                new = leaders.select("rank", F.expr("true").alias("kept")).unionAll(removed.select("rank", F.expr("false").alias("kept")))
                return new.join(decided.select("rank"), "rank", "left_anti")

            new = stages.run(f"peeling_{turn}", peeled, lambda new: {"peeled": new.count()})
            decided = decided.unionAll(new)
            undecided = members.join(decided.select("rank"), "rank", "left_anti")
            before, (left, many) = left, deciding.comparisons(undecided)
            if left >= 0.9 * before or left <= CROWDED * many:
                break
        rest = self._heavy_edges("joining_rest", undecided)
        gone = decided.where("not kept").select(
            F.col("rank").alias("earlier"), F.col("rank").alias("later"), F.lit(0.0).alias("similarity")
        )
        ordered = stages.run("sorting", lambda: deciding.in_order(edges.unionAll(rest).unionAll(gone)))
        documents = stages.counters["documents"]
        passed = stages.run("passing", lambda: deciding.deciding_edges(ordered, documents))

        def sides() -> Any:
            removed = passed.select(F.col("removed").alias("rank")).unionAll(decided.where("not kept").select("rank")).distinct()
            role = F.when(F.col("gone").isNull(), matching.LEFT).otherwise(matching.RIGHT)
            marked = members.join(removed.withColumn("gone", F.lit(1)), "rank", "left").withColumn("role", role).drop("gone")
            met = matching.group_matches(marked, signed, bar, self.partitions)
            return met.select(F.col("b").alias("removed"), F.col("a").alias("keeper"), "similarity")

        crowds = stages.run("joining_crowds", sides, lambda found: {"heavy_matches": found.count()})
        return stages.run("deciding", lambda: deciding.witnesses(passed.unionAll(crowds)))

    def _connected(self) -> Any:
        """The first set of each component for all others of it, and their similarity."""
        from pyspark.sql import functions as F  # noqa: N812

        edges, signed = self._edges, self._signed
        pairs = edges.select(F.col("earlier").alias("a"), F.col("later").alias("b"))
        found = deciding.components(pairs, lambda name, frame: self._stages.run(name.replace("-", "_"), lambda: frame))
        ranks = self._ranks
        first, second = (
            ranks.select(F.col("number").alias(end), F.col("rank").alias(name)) for end, name in (("a", "keeper"), ("b", "removed"))
        )
        joined = found.where("id != cluster").select(F.col("id").alias("removed"), F.col("cluster").alias("keeper"))
        numbered = joined.join(first, "keeper").join(second, "removed")
        scored = matching.matches(numbered, signed, self._bar.every(), self.partitions)
        return self._stages.run("deciding", lambda: scored.select("removed", "keeper", "similarity"))

    @cached_property
    def removed(self) -> Any:
        """Every removed document: ``id``, ``witness``, ``similarity``."""
        from pyspark.sql import functions as F  # noqa: N812

        decided, copies, ranks = self._decided, self._copies, self._ranks

        def made() -> Any:
            sets = decided.select(F.col("removed").alias("rank"), F.col("keeper").alias("at"), "similarity")
            of_founder = sets.withColumnRenamed("rank", "founder")
            rest = copies.join(of_founder, "founder", "left").select(
                "rank", F.coalesce("at", "founder").alias("at"), F.coalesce("similarity", F.lit(1.0)).alias("similarity")
            )
            witness = ranks.select(F.col("rank").alias("at"), F.col("id").alias("witness"))
            named = sets.unionAll(rest).join(ranks.select("rank", "id"), "rank").join(witness, "at")
            return named.select("id", "witness", "similarity")

        def count(removed: Any) -> dict[str, Any]:
            row = removed.agg(
                F.count("id").alias("removed"), F.countDistinct("witness").alias("clusters"), F.min("similarity").alias("weakest")
            )
            return dict(row.first().asDict())

        return self._stages.run("naming", made, count)

    # ---- what people ask for ---------------------------------------------------------------------------------------------

    def survivors(self) -> Any:
        """The kept documents with all their columns."""
        gone = self.removed.withColumnRenamed("id", "neardup id")
        return self.df.join(gone.select("neardup id"), signing._column(self.id).eqNullSafe(gone["neardup id"]), "left_anti")

    def annotated(self) -> Any:
        """All documents, with the columns ``cluster``, ``kept``, ``witness`` and ``similarity``.

        Raises
        ------
        ParameterError
            If a column of that name is there already.
        """
        from pyspark.sql import functions as F  # noqa: N812

        there = [name for name in self.df.columns if name in signing.ANNOTATIONS]
        if there:
            raise ParameterError(f"column {there[0]!r} is there already, and would be there twice; rename it")
        gone = self.removed.withColumnRenamed("id", "neardup id")
        joined = self.df.join(gone, signing._column(self.id) == gone["neardup id"], "left").drop("neardup id")
        own = [signing._column(name) for name in self.df.columns]
        return joined.select(
            *own,
            F.coalesce(F.col("witness"), signing._column(self.id)).alias("cluster"),
            F.col("witness").isNull().alias("kept"),
            "witness",
            "similarity",
        )

    def pairs(self) -> Any:
        """All verified pairs, ``a``, ``b`` and ``similarity``, a before b by rank: of distinct shingle sets, and each copy with its first."""
        from pyspark.sql import functions as F  # noqa: N812

        edges = self._edges.select(F.col("earlier"), F.col("later"), "similarity")
        copies = self._copies.select(F.col("founder").alias("earlier"), F.col("rank").alias("later"), F.lit(1.0).alias("similarity"))
        return self._named(edges.unionAll(copies)).select("a", "b", "similarity")

    def candidates(self) -> Any:
        """The pairs ``a`` and ``b`` that share a bucket that is not heavy, a before b by rank, before they are verified."""
        from pyspark.sql import functions as F  # noqa: N812

        return self._named(self._by_rank(self._candidates.withColumn("similarity", F.lit(0.0)))).select("a", "b")

    def _named(self, edges: Any) -> Any:
        from pyspark.sql import functions as F  # noqa: N812

        ranks = self._ranks
        first, second = (
            ranks.select(F.col("rank").alias(end), F.col("id").alias(name)) for end, name in (("earlier", "a"), ("later", "b"))
        )
        return edges.join(first, "earlier").join(second, "later")

    def summary(self) -> dict[str, Any]:
        """What was counted, and with which parameters."""
        _ = self.removed
        counted = {"heavy_matches": 0, **self._stages.counters}
        counted.pop("peeled", None)
        minhash, banding = self.settings.minhash, self.settings.banding
        shingling = minhash.shingling
        return {
            **counted,
            "kept": counted["documents"] - counted["removed"],
            "threshold": self.settings.threshold,
            "profile": self.settings.profile,
            "verify": self.settings.verify,
            "recall": self.settings.recall_at(self.settings.threshold),
            "bands": banding.bands,
            "rows": banding.rows,
            "num_perm": minhash.num_perm,
            "scheme": minhash.scheme,
            "tokens": shingling.tokens if isinstance(shingling.tokens, str) else "callable",
            "size": shingling.size,
            "partitions": self.partitions,
        }

    def finish(self) -> None:
        """Delete the folder of stages, when all is written that should be: frames of this job cannot be read any more."""
        self._stages.folder.remove()


def _same(frame: Any) -> Callable[[], Any]:
    return lambda: frame


def _ordered(a: str, b: str) -> tuple[Any, Any]:
    from pyspark.sql import functions as F  # noqa: N812

    return F.least(a, b).alias("earlier"), F.greatest(a, b).alias("later")


def deduplicate(
    df: Any,
    text: str = "text",
    id: str = "id",
    order: str | None = None,
    threshold: float | None = None,
    *,
    annotate: bool = False,
    **given: Any,
) -> Any:
    """Find the near-duplicates in a corpus on Spark, and keep one document for each.

    Parameters
    ----------
    df
        A DataFrame of a classic session of Spark.
    text, id
        The names of its columns: strings; integers or strings, no two alike and none null.
    order
        A column that says which document comes first; by default the id does, since rows of Spark have no order.
    threshold
        Least similarity of near-duplicates; by default the profile's, 0.8 for ``"text"``.
    annotate
        Give all documents, with the columns ``cluster``, ``kept``, ``witness`` and ``similarity``, instead of those that are kept.
    given
        The other parameters of :class:`Job`: ``profile``, ``keep`` (no function), ``clusters``, ``recall``, ``shingling``,
        ``minhash``, ``banding``, ``verify`` as for :func:`neardup.deduplicate`; ``work``, a folder that all machines reach, where
        stages are kept so that the same call goes on after an interruption; ``partitions``, how many tasks a shuffle has, by default
        ``spark.sql.shuffle.partitions``, or two a core where that is 200 and the master is local; ``progress``, called with a line a stage.

    Returns
    -------
    DataFrame

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    InputError
        If a column is not there, is of another type, or has no value where it must.
    DuplicateIdError
        If two documents have one id.
    MissingDependencyError
        If pyspark or Java is not installed.

    Notes
    -----
    The decisions are those of ``neardup.deduplicate(..., order=order)``, for any number of partitions and whatever is lost and done again.
    """
    job = Job(df, text, id, order, threshold, **given)
    return job.annotated() if annotate else job.survivors()


def candidates(df: Any, text: str = "text", id: str = "id", **given: Any) -> Any:
    """The pairs ``a`` and ``b`` of ids that share a bucket; members of heavy buckets are not listed, :func:`pairs` joins them.

    Parameters are those of :class:`Job`.
    """
    return Job(df, text, id, **given).candidates()


def pairs(df: Any, text: str = "text", id: str = "id", **given: Any) -> Any:
    """All verified pairs, ``a``, ``b`` and ``similarity``; each copy with the first of its shingle set.

    Parameters are those of :class:`Job`.
    """
    return Job(df, text, id, **given).pairs()


def clusters(pairs: Any, work: str | os.PathLike[str] | None = None, native: int = deciding.NATIVE) -> Any:
    """What pairs ``a`` and ``b`` connect: every ``id`` in them with its ``cluster``, the least id of its component.

    Parameters
    ----------
    pairs
        A DataFrame, as :func:`pairs` gives it.
    work
        A folder for what is between, each call in one of its own, which all machines reach; by default a temporary one.
    native
        The most pairs that are joined in the memory of one task; more are by stars, round after round.
    """
    spark = sessions.check_session(pairs)
    for name in ("a", "b"):
        if name not in pairs.columns:
            raise InputError(f"there is no column {name!r} among {', '.join(map(repr, pairs.columns))}; pairs have a and b")
    partitions = sessions.partitions_of(spark)
    own = os.urandom(6).hex()  # frames are read from there later
    folder = sessions.work_folder(spark, None if work is None else f"{os.fspath(work).rstrip('/')}/clusters-{own}")
    stages = Stages(spark, folder, {"clusters": own}, partitions, lambda _line: None)
    return deciding.components(pairs.select("a", "b"), lambda name, frame: stages.run(name, lambda: frame), native)
